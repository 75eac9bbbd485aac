import FoundationEssentials
package import NIOCore
import NIOSSL
import NIOTLS
package import RPCCore
package import WireCore
package import X509

/// Why a connection did not get as far as its first frame.
package struct HandshakeError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// One end of a connection as its driver sees it: a state machine, and what becomes of the machine's events. A server's
/// or a client's session.
///
/// The session has the machine, not the driver: so an event is handled where its type is known, and the driver asks for
/// something once for a burst of calls, not once for each.
package protocol WireSession: AnyObject {
    /// The peer has shown who it is: there is a machine from now on.
    ///
    /// - Throws: when the peer is not wanted.
    func open(_ peer: PeerIdentity, now: WireInstant) throws
    /// Stop reading: the peer does not take what it is sent. False without a machine, as is the next.
    var isCongested: Bool { get }
    var isClosed: Bool { get }
    /// When the machine wants to be told the time; nil for never.
    var nextTimeout: WireInstant? { get }
    func receive(_ bytes: ByteBuffer, now: WireInstant)
    /// Handles what the machine has to say, all of it unless more waits to be sent than may (W-133): then what the peer
    /// asked for has to wait, also what has been read already. One read can bring thousands of calls.
    func handleEvents()
    func takeOutbound() -> ByteBuffer?
    func handleTimeout(now: WireInstant)
    func connectionClosed(now: WireInstant)
    /// The connection is over, whether or not it ever began; called once, last.
    func ended(_ reason: String)
}

/// Moves bytes between a TLS channel and a session.
///
/// Everything here runs on the channel's event loop. No byte is read or sent before the peer has shown ALPN and a
/// certificate that the session wants. What is answered during a burst of reads leaves in one write.
package final class WireDriver: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// The end that this drives. Driver and session hold each other until the channel lets go of the driver.
    package var session: (any WireSession)?
    /// Nil until the handshake has succeeded: there is a machine since.
    package private(set) var peer: PeerIdentity?
    /// What the peer has shown.
    package var peerCertificate: Certificate? { context?.peerCertificate }
    /// The error that ended the transport, if one did.
    package private(set) var transportError: (any Error)?
    /// When bytes last arrived.
    package private(set) var lastRead: MonotonicInstant?
    /// There was a transport at all.
    package private(set) var hasBeenActive = false
    package private(set) var context: ChannelHandlerContext?

    private let handshakeTimeout: Duration
    private var handshakeTimer: Scheduled<Void>?
    private var timer: (task: Scheduled<Void>, at: WireInstant)?
    private var isPumping = false
    private var isPumpScheduled = false
    private var isReadWithheld = false
    private var hasEnded = false
    private var hasConcluded = false
    /// The transport may not have taken all that the machine wants to send.
    private var hasMore = false
    private var isLingering = false
    /// Bytes sent since the loop last turned to its connections, as far as this one can tell.
    private var burst = 0
    private var isResting = false
    private var congestion = LoopbackCongestion()

    /// How long a closed connection waits for its last bytes to leave.
    private static var lingerTimeout: TimeAmount { .seconds(5) }
    /// More than a stream sends on the credit that is usual. A loop runs its tasks to the last one before it reads, so a
    /// stream with credit without end, to a peer that reads as fast, would keep it from every other connection, and this
    /// one's PING from its PONG.
    private static var longestBurst: Int { 4 * 1024 * 1024 }
    private static var rest: TimeAmount { .milliseconds(5) }

    package init(handshakeTimeout: Duration) { self.handshakeTimeout = handshakeTimeout }

    private var hasMachine: Bool { peer != nil }

    // MARK: Channel

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let timeout = TimeAmount.nanoseconds(Int64(clamping: WireDuration(handshakeTimeout).nanoseconds))
        handshakeTimer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] () -> Void in
            self?.abandon(HandshakeError("The TLS handshake took too long."))
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
        // A pump that is under way still has to conclude.
        if hasConcluded { session = nil }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            open(context, negotiated: negotiated)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelActive(context: ChannelHandlerContext) {
        hasBeenActive = true
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = MonotonicInstant.now
        lastRead = now
        burst = 0
        session?.receive(unwrapInboundIn(data), now: WireClock.instant(at: now))
    }

    package func channelReadComplete(context: ChannelHandlerContext) { pump() }

    package func channelWritabilityChanged(context: ChannelHandlerContext) { pump() }

    package func read(context: ChannelHandlerContext) {
        if session?.isCongested == true {
            isReadWithheld = true
        } else {
            context.read()
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .uncleanShutdown? = error as? NIOSSLError {} else { transportError = transportError ?? error }
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    // MARK: Handshake

    private func open(_ context: ChannelHandlerContext, negotiated: String?) {
        do throws(HandshakeError) {
            guard negotiated == WireProtocol.alpn else {
                throw HandshakeError("The peer did not negotiate ALPN \(WireProtocol.alpn).")
            }
            let peer = try Self.peer(context)
            try start(peer)
            self.peer = peer
        } catch {
            return abandon(error)
        }
        handshakeTimer?.cancel()
        pump()
    }

    private func start(_ peer: PeerIdentity) throws(HandshakeError) {
        do {
            try session?.open(peer, now: WireClock.now)
        } catch let error as HandshakeError {
            throw error
        } catch {
            throw HandshakeError("\(error)")
        }
    }

    /// A session that is resumed brings the certificate of its first handshake, which may have expired since.
    private static func peer(_ context: ChannelHandlerContext) throws(HandshakeError) -> PeerIdentity {
        guard let certificate = context.peerCertificate else { throw HandshakeError("The peer showed no certificate.") }
        guard certificate.notValidAfter >= .now else { throw HandshakeError("The peer's certificate has expired.") }
        do {
            return try PeerIdentity(certificate: certificate)
        } catch {
            throw HandshakeError(error.description)
        }
    }

    private func abandon(_ error: HandshakeError) {
        guard !hasMachine else { return }
        transportError = transportError ?? error
        context?.close(promise: nil)
    }

    // MARK: Driving

    /// Handles what the machine has to say and sends what it has to send. At once, unless called from within itself.
    package func pump() {
        guard !isPumping, hasMachine else { return }
        isPumping = true
        repeat { session?.handleEvents() } while flush()
        isPumping = false
        if hasEnded { conclude() } else { settle() }
    }

    /// `pump()` at the end of this turn of the loop, once for however many answers come in it.
    package func pumpSoon() {
        guard !isPumping, !isPumpScheduled, let context else { return }
        isPumpScheduled = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isPumpScheduled = false
            pump()
        }
    }

    /// Sends what the transport takes now; whether anything was sent, which may have brought new events.
    ///
    /// Each burst is flushed by itself: TLS holds back what is not, and says nothing of the peer's pace until then.
    private func flush() -> Bool {
        guard let context else { return false }
        var hasWritten = false
        hasMore = true
        while context.channel.isWritable {
            guard !isResting, burst < Self.longestBurst else {
                rest(context)
                break
            }
            guard let bytes = session?.takeOutbound() else {
                hasMore = false
                break
            }
            burst += bytes.readableBytes
            congestion.note(bytes, on: context.channel)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            hasWritten = true
        }
        return hasWritten
    }

    /// Lets the loop turn to its connections before this one sends on.
    private func rest(_ context: ChannelHandlerContext) {
        guard !isResting else { return }
        isResting = true
        let loop = context.eventLoop.assumeIsolated()
        // Behind the tasks that there are: a timer that is due before they are done would run with them.
        loop.execute { [weak self] in
            loop.scheduleTask(in: Self.rest) { [weak self] () -> Void in self?.goOn() }
        }
    }

    private func goOn() {
        isResting = false
        burst = 0
        pump()
    }

    private func settle() {
        guard let context, hasMachine, let session else { return }
        schedule(context)
        if isReadWithheld, !session.isCongested {
            isReadWithheld = false
            context.read()
        }
        if session.isClosed { closeTransport(context) }
    }

    /// Closes once the last bytes are sent, and after `lingerTimeout` all the same.
    private func closeTransport(_ context: ChannelHandlerContext) {
        guard hasMore else { return context.close(promise: nil) }
        guard !isLingering else { return }
        isLingering = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTimeout) { [weak self] () -> Void in
            self?.context?.close(promise: nil)
        }
    }

    /// One timer, moved only towards the present: one that fires too early finds nothing to do and is set again.
    private func schedule(_ context: ChannelHandlerContext) {
        guard let due = session?.nextTimeout else { return }
        if let timer, timer.at <= due { return }
        timer?.task.cancel()
        let delay = TimeAmount.nanoseconds(Int64(clamping: due.elapsed(since: WireClock.now).nanoseconds))
        let task = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] () -> Void in self?.fire() }
        timer = (task, due)
    }

    private func fire() {
        timer = nil
        session?.handleTimeout(now: WireClock.now)
        pump()
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        handshakeTimer?.cancel()
        session?.connectionClosed(now: WireClock.now)
        // A write may have found the transport gone: then the pump that made it has events left, and concludes itself.
        if isPumping { return }
        if hasMachine { pump() } else { conclude() }
    }

    /// The last word to the session.
    private func conclude() {
        guard !hasConcluded else { return }
        hasConcluded = true
        timer?.task.cancel()
        timer = nil
        session?.ended(transportError.map(TransportFailure.text) ?? "The connection was closed.")
        if context == nil { session = nil }
    }
}

extension ChannelHandlerContext {
    fileprivate var peerCertificate: Certificate? {
        guard let certificate = try? pipeline.syncOperations.nioSSL_peerCertificate(),
            let bytes = try? certificate.toDERBytes()
        else { return nil }
        return try? Certificate(derEncoded: bytes)
    }
}
