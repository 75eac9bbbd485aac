import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// The body of a request did not arrive in time.
struct BodyTimeout: Error {}

/// What the server must watch on each HTTP/1.1 connection and each HTTP/2 stream, beneath the requests themselves:
///
/// - a body that does not arrive in time ends in an error for whoever reads it;
/// - a request that is answered before its body has come ends the connection, once the client could read the answer,
///   so that nobody can make the server read for ever;
/// - bytes that are not HTTP are answered with a problem, as everything else is.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a connection stays open behind an early answer, for the client to read it.
    static let linger = TimeAmount.seconds(1)

    private let bodyTimeout: TimeAmount
    private let refusal: @Sendable (Problem) -> HTTPAnswer
    /// Requests whose head came, and whose answer ended.
    private var received = 0
    private var answered = 0
    /// The last request's head came, its end did not.
    private var isReading = false
    private var isLingering = false
    /// Told when the answers before it are out.
    private var deferred: Problem?
    private var timer: Scheduled<Void>?

    /// - Parameter refusal: The answer to bytes that are no request.
    init(bodyTimeout: TimeAmount, refusal: @escaping @Sendable (Problem) -> HTTPAnswer) {
        self.bodyTimeout = bodyTimeout
        self.refusal = refusal
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        note(part, context)
        if isLingering {
            if case .end = part { context.close(promise: nil) }
        } else {
            context.fireChannelRead(data)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where endsConnection && !isStream(context) && head.status.kind != .informational:
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            let isEarly = endsConnection
            context.write(data, promise: promise)
            answered += 1
            if isEarly { startLinger(context) }
            if let deferred, answered == received { refuse(deferred, context) }
        default: context.write(data, promise: promise)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, !isReading else { return context.fireErrorCaught(error) }
        let problem: Problem = error == .headerOverflow ? .headersTooLarge : .malformedRequest
        if answered == received { refuse(problem, context) } else { deferred = problem }
    }

    /// Whether the answer now written is to a request that has not wholly come.
    private var endsConnection: Bool { isReading && received == answered + 1 }

    /// An HTTP/2 stream's channel has a connection for its parent, which has the listener for its own.
    private func isStream(_ context: ChannelHandlerContext) -> Bool { context.channel.parent?.parent != nil }

    private func note(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head:
            received += 1
            isReading = true
            startTimer(context)
        case .body: break
        case .end:
            isReading = false
            timer?.cancel()
        }
    }

    private func startTimer(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: bodyTimeout) { bound.value.fireErrorCaught(BodyTimeout()) }
    }

    private func startLinger(_ context: ChannelHandlerContext) {
        guard !isLingering else { return }
        isLingering = true
        timer?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Self.linger) { bound.value.close(promise: nil) }
    }

    private func refuse(_ problem: Problem, _ context: ChannelHandlerContext) {
        guard !isLingering else { return }
        deferred = nil
        let answer = refusal(problem)
        var head = answer.head
        if !isStream(context) { head.headerFields[.connection] = "close" }
        startLinger(context)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(answer.body)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
