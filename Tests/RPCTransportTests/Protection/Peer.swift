import NIOCore
import NIOSSL
import RPCTransport
import TestSupport
import WireCore

/// A peer with a good certificate that says frames of a test's choice.
struct FramePeer {
    let raw: RawPeer

    init(_ address: BoundAddress, as service: String = "gateway", saysHello: Bool = true) async throws {
        let certificates = try TestCertificates.shared.get()
        let tls = try certificates.rawClient(try certificates.authority.issue(service: service))
        raw = try await RawPeer(address, tls: tls)
        guard saysHello else { return }
        send { $0.writeHello(HelloFrame(limits: .defaults(), acceptsCalls: false, fingerprints: [])) }
    }

    func send(_ body: (inout ByteBuffer) -> Void) {
        var buffer = ByteBuffer()
        body(&buffer)
        raw.send(Array(buffer.readableBytesView))
    }

    /// All frames that came before the server closed.
    var frames: [Frame] {
        get async throws {
            var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)
            decoder.append(ByteBuffer(bytes: try await raw.outcome.received))
            var frames: [Frame] = []
            while let frame = try decoder.next() { frames.append(frame) }
            return frames
        }
    }

    /// The rule that the server closed for.
    var rule: UInt16? {
        get async throws {
            for case .goodbye(let goodbye) in try await frames { return goodbye.rule }
            return nil
        }
    }
}

extension ByteBuffer {
    /// A whole unary call.
    mutating func writeUnary(
        _ id: UInt32, _ method: UInt32, _ message: [UInt8] = [], lane: UInt8 = 0, metadata: ByteBuffer = ByteBuffer()
    ) {
        let start = MessageStart(length: UInt32(message.count), fragment: ByteBuffer(bytes: message))
        let call = CallFrame(
            method: method, remainingMicros: CallFrame.noDeadline, kind: 0, lane: lane, metadata: metadata, message: start,
            endsRequest: true)
        writeCall(CallID(rawValue: id), call)
    }
}
