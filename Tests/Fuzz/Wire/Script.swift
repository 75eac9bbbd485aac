import NIOCore
import WireCore

/// Sizes and times at which something changes: what a choice picks from.
enum Edge {
    /// Message bytes: empty, small (W-43), a frame, a window, more than each.
    static let sizes = [0, 1, 31, 1023, 1024, 4096, 8160, 16_352, 16_364, 16_384, 20_000, 40_000, 80_000]
    static let credits: [UInt32] = [0, 1, 4095, 4096, 8192, 16_384, 65_536, 1 << 30, UInt32(Int32.max), .max]
    static let millis: [UInt64] = [0, 1, 9, 10, 49, 50, 99, 100, 999, 1000, 5000, 10_000, 30_000, 60_000]
    /// A call's time left, microseconds.
    static let remaining: [UInt64] = [CallFrame.noDeadline, 0, 1, 1000, 50_000, 1_000_000, CallFrame.noDeadline - 1]

    /// Narrow limits, so that few bytes reach every bound.
    static func limits(_ input: inout FuzzInput) -> WireLimits {
        let isNarrow = input.flag()
        return .defaults { limits in
            limits.maxMessageSize = 64 * 1024
            limits.maxReassembly = 128 * 1024
            guard isNarrow else { return }
            limits.maxFrameSize = 16 * 1024
            limits.callCredit = 16 * 1024
            limits.connectionCredit = 32 * 1024
            limits.maxConcurrentCalls = 4
            limits.maxMetadataSize = 1024
            limits.streamBuffer = 20_000
            limits.outboundHighWater = 64 * 1024
            limits.floods.smallCredits = 5
            limits.floods.smallFragments = 5
            limits.floods.lateFrames = 5
            limits.floods.provokedErrors = 5
        }
    }
}

/// What a peer says, as choices.
struct PeerScript {
    var highest: UInt32 = 0

    /// One of the calls so far, mostly; now and then another.
    func call(_ input: inout FuzzInput) -> CallID {
        let back = UInt32(input.below(8))
        return CallID(rawValue: highest >= back ? highest - back : highest + 1)
    }

    /// CALL of a new id.
    mutating func writeCall(_ input: inout FuzzInput, to buffer: inout ByteBuffer) -> (id: CallID, kind: UInt8) {
        highest += input.below(16) == 15 ? 0 : 1
        let kind = UInt8(input.below(5))
        let remaining = input.choose(Edge.remaining)
        let shape = input.byte()
        var metadata = ByteBuffer()
        if shape & 0x40 != 0 { metadata = ByteBuffer(bytes: input.bytes(atMost: 48)) }
        var message: MessageStart?
        if shape & 0x80 == 0 { message = start(&input) }
        let isWhole = message.map { Int($0.length) == $0.fragment.readableBytes } ?? true
        let frame = CallFrame(
            method: UInt32(shape & 1), remainingMicros: remaining, kind: kind, lane: shape >> 4 & 3 == 3 ? 2 : 0,
            metadata: metadata, message: message, endsRequest: shape & 2 != 0 && isWhole)
        let id = CallID(rawValue: max(highest, 1))
        buffer.writeCall(id, frame)
        return (id, kind)
    }

    /// A message's start: whole, or as much of it as a frame may hold.
    func start(_ input: inout FuzzInput) -> MessageStart {
        let size = input.choose(Edge.sizes)
        let sent = input.flag() ? min(size, 16_000) : min(size, input.choose(Edge.sizes), 16_000)
        return MessageStart(length: UInt32(size), fragment: ByteBuffer(repeating: 7, count: sent))
    }

    func message(_ input: inout FuzzInput, ends: Bool) -> MessageFrame {
        guard input.flag() else { return MessageFrame(content: .start(start(&input)), endsRequest: ends) }
        let size = max(1, min(input.choose(Edge.sizes), 16_000))
        return MessageFrame(content: .next(ByteBuffer(repeating: 7, count: size)), endsRequest: ends)
    }
}

/// Credit that a side was given and has spent: a second account beside the machine's own.
struct CreditAccount {
    private var left: Int

    init(_ initial: UInt32) { left = Int(initial) }

    mutating func grant(_ bytes: UInt32) { left += Int(bytes) }

    mutating func spend(_ bytes: Int, _ what: String) throws(BrokenPromise) {
        left -= bytes
        try promise(left >= 0, "\(what): \(-left) bytes beyond its credit")
    }
}

extension MessageFrame {
    /// Message bytes, and whether a message starts here.
    var cost: (bytes: Int, starts: Bool) {
        switch content {
        case .start(let start): (start.fragment.readableBytes, true)
        case .next(let fragment): (fragment.readableBytes, false)
        }
    }
}

/// All frames in what a side sent; that they decode is a promise.
func decode(_ bytes: ByteBuffer, _ decoder: inout FrameDecoder) throws(BrokenPromise) -> [Frame] {
    decoder.append(bytes)
    var frames: [Frame] = []
    do throws(WireViolation) {
        while let frame = try decoder.next() { frames.append(frame) }
    } catch {
        throw BrokenPromise("what was sent does not decode: \(error)")
    }
    decoder.releaseConsumed()
    return frames
}

/// What the bytes grant that a machine is given, however they came about: a frame of the script, or bytes that happen to be
/// one. After what does not decode there is nothing more.
struct GrantReader {
    private var decoder: FrameDecoder
    private var isOver = false

    init(_ limits: WireLimits) { decoder = FrameDecoder(maxFrameSize: limits.maxFrameSize) }

    /// Nil for the connection.
    mutating func grants(in bytes: ByteBuffer) -> [(id: CallID?, bytes: UInt32)] {
        guard !isOver else { return [] }
        decoder.append(bytes)
        defer { decoder.releaseConsumed() }
        var found: [(CallID?, UInt32)] = []
        do throws(WireViolation) {
            while let frame = try decoder.next() {
                if case .credit(let id, let bytes) = frame { found.append((id, bytes)) }
            }
        } catch {
            isOver = true
        }
        return found
    }
}
