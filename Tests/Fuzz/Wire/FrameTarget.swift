import NIOCore
import WireCore

extension FuzzTarget {
    /// Raw bytes to the frame decoder: any split gives the same frames, and what was read can be written and read again.
    package static let frames = FuzzTarget("frames") { bytes, plant throws(BrokenPromise) in
        var input = FuzzInput(bytes)
        let stride = max(1, Int(input.byte()))
        let stream = input.remaining()
        let whole = Decoded(stream, stride: max(1, stream.count))
        let pieces = Decoded(stream, stride: stride)
        try promise(whole == pieces, "a split changes what is read: \(whole) and \(pieces)")
        for frame in whole.frames { try RoundTrip(plant: plant).check(frame) }
    }
}

/// What a decoder makes of some bytes.
private struct Decoded: Equatable {
    var frames: [Frame] = []
    var violation: WireViolation?

    init(_ bytes: [UInt8], stride: Int) {
        var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.lowerBound)
        var rest = bytes[...]
        while !rest.isEmpty, violation == nil {
            decoder.append(ByteBuffer(bytes: rest.prefix(stride)))
            rest = rest.dropFirst(stride)
            take(from: &decoder)
        }
    }

    private mutating func take(from decoder: inout FrameDecoder) {
        do throws(WireViolation) {
            while let frame = try decoder.next() { frames.append(frame) }
            decoder.releaseConsumed()
        } catch {
            violation = error
        }
    }
}

/// A frame, written and read again.
private struct RoundTrip {
    let plant: Plant

    func check(_ frame: Frame) throws(BrokenPromise) {
        var buffer = ByteBuffer()
        guard write(frame, to: &buffer) else { return }
        var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)
        var hello = ByteBuffer()
        hello.writeHello(HelloFrame(limits: .defaults(), acceptsCalls: true, fingerprints: []))
        decoder.append(hello)
        _ = try? decoder.next()
        decoder.append(buffer)
        let again: Frame?
        do throws(WireViolation) {
            again = try decoder.next()
        } catch {
            throw BrokenPromise("what was written for \(frame) is not read: \(error)")
        }
        try promise(again == frame, "\(frame) comes back as \(again.map { "\($0)" } ?? "nothing")")
    }

    /// False for what this side never writes, or repairs as it reads.
    private func write(_ frame: Frame, to buffer: inout ByteBuffer) -> Bool {
        switch frame {
        case .hello(let hello): buffer.writeHello(hello)
        case .call(let id, let call): buffer.writeCall(id, call)
        case .message(let id, let message): buffer.writeMessage(id, message)
        case .end(let id): buffer.writeEnd(id)
        case .cancel(let id): buffer.writeCancel(id)
        // The built-in fault: a call's large credit loses a byte.
        case .credit(let id?, let bytes) where plant == .planted && bytes > 0xFFFF: buffer.writeCredit(id, bytes - 1)
        case .credit(let id, let bytes): buffer.writeCredit(id, bytes)
        case .ping(let value): buffer.writePing(value)
        case .pong(let value): buffer.writePong(value)
        case .drain(let drain):
            guard drain.reason.utf8.count <= WireLimits.maxReasonSize else { return false }
            buffer.writeDrain(drain)
        case .drainAck(let last): buffer.writeDrainAck(last)
        case .goodbye(let goodbye):
            guard goodbye.reason.utf8.count <= WireLimits.maxReasonSize else { return false }
            buffer.writeGoodbye(goodbye)
        case .status(let id, let status): return write(id, status, to: &buffer)
        case .skipped: return false
        }
        return true
    }

    private func write(_ id: CallID, _ frame: StatusFrame, to buffer: inout ByteBuffer) -> Bool {
        let text = String(validating: frame.text.readableBytesView, as: UTF8.self)
        guard let text, let metadata = try? WireMetadata(validating: frame.metadata, maxSize: 8192),
            text.utf8.count <= WireLimits.maxStatusMessageSize,
            frame.details.readableBytes <= WireLimits.maxStatusDetailsSize
        else { return false }
        let status = WireStatus(
            code: frame.code, message: text, details: frame.details, processed: frame.processed,
            queuedMicros: frame.queuedMicros, ranMicros: frame.ranMicros, retryAfterMillis: frame.retryAfterMillis,
            metadata: metadata)
        buffer.writeStatus(id, status, body: frame.message.map { .buffer($0) })
        return true
    }
}
