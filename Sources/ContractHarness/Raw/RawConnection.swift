import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import RPCCore
import RPCTransport
import Synchronization

/// One connection of the raw peer: sends whatever bytes it is told to, and keeps what comes.
final class RawConnection: Sendable {
    let channel: any Channel
    let inbox = RawInbox()
    /// Nothing is answered by itself: no PONG, no DRAIN_ACK.
    let isSilent: Bool
    private let calls = Mutex<[UInt32]>([])
    private let counters = Mutex(Traffic())
    private let negotiated = Mutex<String?>(nil)
    /// Open once the handshake is done, or the connection is.
    private let settled = Latch()

    /// Counted as it arrives, however late anybody looks at it.
    struct Traffic: Sendable {
        /// Bytes in MSG frames.
        var messageBytes = 0
        /// The same when the last PONG came.
        var beforePong = 0
    }

    init(channel: any Channel, isSilent: Bool) {
        self.channel = channel
        self.isSilent = isSilent
    }

    /// How long the other end may read nothing, or leave a handshake undone, where a case says nothing of it.
    private static let patience: Duration = .seconds(60)

    func send(_ bytes: [UInt8]) async throws {
        do {
            try await within(Self.patience, orFail: StepFailure("the peer reads nothing for \(Self.patience)")) { [channel] in
                try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
            }
        } catch {
            throw StepFailure("sending failed: \(error)")
        }
    }

    /// The bytes, without waiting for them to leave.
    func sendSoon(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// Ids of the CALLs that came, in order.
    var callIDs: [UInt32] { calls.withLock { $0 } }

    var traffic: Traffic { counters.withLock { $0 } }

    /// What ALPN agreed upon, once the handshake is done.
    var alpn: String? { negotiated.withLock { $0 } }

    /// Who is at the other end, once the handshake is done; nil when there is nobody with one name.
    func peer() async -> PeerIdentity? {
        await certificate().flatMap { try? PeerIdentity(certificate: $0) }
    }

    /// What the other end has shown, DER, once the handshake is done.
    func certificate() async -> [UInt8]? {
        try? await within(Self.patience, orFail: StepFailure("no handshake")) { [settled] in await settled.wait() }
        let channel = channel
        let bytes = try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes()
        }.get()
        return bytes.flatMap { $0 }
    }

    // MARK: Misbehaving

    /// On a connection that has ended meanwhile it does nothing: the end is what is read then.
    func setReading(_ isReading: Bool) async {
        try? await channel.setOption(.autoRead, value: isReading).get()
        if isReading { channel.read() }
    }

    /// The end of the stream in this direction alone.
    func halfClose() async throws { try await channel.close(mode: .output).get() }

    /// FIN in both directions, without waiting for the peer's consent.
    func close() async { try? await channel.close().get() }

    /// RST.
    func reset() async {
        let channel = channel
        try? await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try? await channel.eventLoop.submit {
            let handlers = channel.pipeline.syncOperations
            if let context = try? handlers.context(handlerType: NIOSSLHandler.self) {
                context.close(promise: nil)
            } else {
                channel.close(promise: nil)
            }
        }.get()
    }

    // MARK: From the channel

    fileprivate func received(_ frame: RawFrame) {
        switch frame.kind {
        case .call: calls.withLock { $0.append(frame.call) }
        case .message: counters.withLock { $0.messageBytes += frame.payload.count }
        case .pong: counters.withLock { $0.beforePong = $0.messageBytes }
        default: break
        }
        if !isSilent, frame.kind == .ping {
            return sendSoon(RawFrame(.pong, payload: frame.payload).bytes)
        }
        inbox.put(.frame(frame))
    }

    fileprivate func agreed(_ name: String?) {
        negotiated.withLock { $0 = name }
        settled.open()
    }

    fileprivate func ended(_ failure: String?) {
        inbox.put(.end(failure))
        settled.open()
    }

    /// Cuts what arrives into frames.
    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let connection: RawConnection
        private var cutter = RawFrameCutter()
        private var failure: String?

        init(_ connection: RawConnection) { self.connection = connection }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            cutter.append(unwrapInboundIn(data).readableBytesView)
            while let frame = cutter.next() { connection.received(frame) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted(let name)? = event as? TLSUserEvent { connection.agreed(name) }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            failure = failure ?? "\(error)"
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            connection.ended(failure)
            context.fireChannelInactive()
        }
    }
}

/// What a step of a case found to be otherwise; for people.
struct StepFailure: Error, Sendable, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
