import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import RPCTransport
import WireCore

/// The floor's client: on each connection so many frames are under way, and each one that comes back is sent again.
struct FloorLoad {
    let tls: TLSIdentity
    let plan: LoadPlan

    func run() async throws -> LoadReport {
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        var connections: [Connection] = []
        for index in 0..<plan.connections { connections.append(try await connect(loops[index % loops.count])) }
        let start = ContinuousClock.now.advanced(by: LoadPlan.warmUp)
        let end = start.advanced(by: .seconds(plan.seconds))
        let parts = connections.map { connection in
            connection.loop.flatSubmit { connection.handler.value.begin(start, end) }
        }
        try await Task.sleep(until: start)
        LoadPlan.announceStart()
        let before = processCPU()
        try await Task.sleep(until: end)
        var report = LoadReport(seconds: plan.seconds, cpu: processCPU() - before)
        for part in parts {
            let part = try await part.get()
            report.calls += part.calls
            report.latencies.add(part.latencies)
        }
        return report
    }

    private struct Connection: Sendable {
        let loop: any EventLoop
        let handler: NIOLoopBound<Handler>
    }

    private func connect(_ loop: any EventLoop) async throws -> Connection {
        let isReady = loop.makePromise(of: Void.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { [tls, plan] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: tls.clientContext, serverHostname: nil), Handler(plan, isReady),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: plan.port).get()
        try await isReady.futureResult.get()
        return try await loop.submit {
            let handler = try channel.pipeline.syncOperations.handler(type: Handler.self)
            return Connection(loop: loop, handler: NIOLoopBound(handler, eventLoop: loop))
        }.get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let plan: LoadPlan
        private var (start, end) = (ContinuousClock.now, ContinuousClock.now)
        private let isReady: EventLoopPromise<Void>
        private var done: EventLoopPromise<LoadReport>?
        private var context: ChannelHandlerContext?
        private var report = LoadReport()
        private var received = ByteBuffer()
        private var out = ByteBuffer()
        /// When each frame under way was sent; answers come in order.
        private var sent = CircularBuffer<ContinuousClock.Instant>()
        private var isDone = false
        private var congestion = LoopbackCongestion()

        init(_ plan: LoadPlan, _ isReady: EventLoopPromise<Void>) { (self.plan, self.isReady) = (plan, isReady) }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }
        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { isReady.succeed() }
        }

        func begin(
            _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
        ) -> EventLoopFuture<LoadReport> {
            (self.start, self.end) = (start, end)
            guard let context else { return isReady.futureResult.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
            let done = context.eventLoop.makePromise(of: LoadReport.self)
            self.done = done
            if plan.stream { out.writeFrame(ByteBuffer()) }
            for _ in 0..<(plan.stream ? 1 : plan.outstanding) { send(ByteBuffer(bytes: plan.payload), .now) }
            write(context)
            return done.futureResult
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            out.clear()
            while let frame = received.readFrame() { take(frame) }
            if received.readableBytes == 0 { received.clear() } else { received.discardReadBytes() }
            if isDone { return context.close(promise: nil) }
            if out.readableBytes > 0 { write(context) }
        }

        private func write(_ context: ChannelHandlerContext) {
            congestion.note(out, on: context.channel)
            context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        }

        private func take(_ frame: ByteBuffer) {
            let now = ContinuousClock.now
            let began = plan.stream ? now : sent.popFirst() ?? now
            if began >= start, now <= end {
                report.calls += 1
                if !plan.stream { report.latencies.add(began.duration(to: now)) }
            }
            guard now < end else { return finish() }
            if !plan.stream { send(frame, now) }
        }

        private func send(_ frame: ByteBuffer, _ now: ContinuousClock.Instant) {
            out.writeFrame(frame)
            sent.append(now)
        }

        private func finish() {
            guard !isDone else { return }
            isDone = true
            done?.succeed(report)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            isReady.fail(error)
            if !isDone { done?.fail(error) }
            isDone = true
            context.close(promise: nil)
        }
    }
}
