import NIOCore
import RPCCore
import RPCTransport
import Testing
import WireCore

/// Peers that take their time, or promise much.
@Suite(.timeLimit(.minutes(1)))
struct SlowPeerTests {
    @Test("A frame that does not get whole ends its connection")
    func slowFrame() async throws {
        var options = ServerOptions()
        options.limits.frameTimeout = .milliseconds(100)
        try await withServer([.echo], options: options) { _, address in
            let slow = try await FramePeer(address)
            slow.raw.send([0, 0, 0, 8, 8])
            #expect(try await slow.rule == 131)
        }
    }

    @Test("A length beyond the limit ends the connection on its header")
    func lengthBomb() async throws {
        try await withServer([.echo]) { _, address in
            let bomb = try await FramePeer(address)
            bomb.raw.send([0xff, 0xff, 0xff, 0xff, 2, 3, 0, 0, 0, 0, 0, 1])
            #expect(try await bomb.rule == 2)
        }
    }

    @Test("Call ids at their end retire the connection instead of wrapping around")
    func lastCallID() async throws {
        try await withServer([.echo]) { _, address in
            let old = try await FramePeer(address)
            old.send { $0.writeUnary(CallID.max.rawValue, AsyncMethod.echoDescriptor.id, [5]) }
            old.send { $0.writeDrainAck(CallID.max.rawValue) }
            let frames = try await old.frames
            let drains = frames.filter { if case .drain = $0 { true } else { false } }
            let answers = frames.compactMap { if case .status(_, let status) = $0 { status.code } else { nil } }
            #expect(drains.count == 1 && answers == [WireStatusCode.ok])
        }
    }
}
