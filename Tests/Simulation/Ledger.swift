import NIOCore
import Testing
import WireCore

/// The credit of one direction, from the frames alone: what the sender has been told and what it has spent.
struct Ledger {
    private var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)
    private var heard = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)
    private var connection: Int64 = 0
    private var initial: Int64 = 0
    private var calls: [CallID: Int64] = [:]
    private var kinds: [CallID: WireCallKind] = [:]
    private let role: WireRole

    init(_ role: WireRole) { self.role = role }

    /// The sender sends this.
    mutating func sent(_ bytes: ByteBuffer) {
        for frame in Self.read(bytes, &decoder) {
            if case .call(let id, let call) = frame { open(id, WireCallKind(rawValue: call.kind)) }
            guard case .message(let id, let message) = frame else { continue }
            let (bytes, starts) = Self.cost(message)
            connection -= Int64(bytes)
            calls[id, default: 0] -= Int64(bytes) + (starts && streams(id) ? Int64(WireLimits.streamMessageCost) : 0)
            #expect(connection >= 0, "\(role): the connection's credit is \(connection)")
            #expect(calls[id] ?? 0 >= 0, "\(role): the credit of call \(id) is \(calls[id] ?? 0)")
        }
    }

    /// The sender receives this.
    mutating func received(_ bytes: ByteBuffer) {
        for frame in Self.read(bytes, &heard) {
            switch frame {
            case .hello(let hello):
                connection += Int64(hello.connectionCredit)
                initial = Int64(hello.callCredit)
                for id in calls.keys { calls[id]? += initial }
            case .call(let id, let call): open(id, WireCallKind(rawValue: call.kind))
            case .credit(nil, let bytes): connection += Int64(bytes)
            case .credit(let id?, let bytes): calls[id, default: 0] += Int64(bytes)
            default: break
            }
        }
    }

    private mutating func open(_ id: CallID, _ kind: WireCallKind?) {
        kinds[id] = kind
        calls[id] = initial
    }

    private func streams(_ id: CallID) -> Bool {
        role == .client ? kinds[id]?.clientStreams == true : kinds[id]?.serverStreams == true
    }

    private static func cost(_ message: MessageFrame) -> (bytes: Int, starts: Bool) {
        switch message.content {
        case .start(let start): (start.fragment.readableBytes, true)
        case .next(let fragment): (fragment.readableBytes, false)
        }
    }

    private static func read(_ bytes: ByteBuffer, _ decoder: inout FrameDecoder) -> [Frame] {
        var frames: [Frame] = []
        decoder.append(bytes)
        do throws(WireViolation) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            Issue.record("what was sent does not decode: \(error)")
        }
        decoder.releaseConsumed()
        return frames
    }
}
