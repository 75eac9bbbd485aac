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
        let start = ContinuousClock.now.advanced(by: LoadPlan.warmUp)
        let end = start.advanced(by: .seconds(plan.seconds))
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        var parts: [EventLoopFuture<LoadReport>] = []
        for index in 0..<plan.connections {
            parts.append(try await connect(loops[index % loops.count], start, end))
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

    private func connect(
        _ loop: any EventLoop, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> EventLoopFuture<LoadReport> {
        let done = loop.makePromise(of: LoadReport.self)
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { [tls, plan] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: tls.clientContext, serverHostname: nil),
                        Handler(plan, start, end, done),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: plan.port).get()
        return done.futureResult
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let plan: LoadPlan
        private let (start, end): (ContinuousClock.Instant, ContinuousClock.Instant)
        private let done: EventLoopPromise<LoadReport>
        private var report = LoadReport()
        private var received = ByteBuffer()
        private var out = ByteBuffer()
        /// When each frame under way was sent; answers come in order.
        private var sent = CircularBuffer<ContinuousClock.Instant>()
        private var isDone = false

        init(
            _ plan: LoadPlan, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant,
            _ done: EventLoopPromise<LoadReport>
        ) {
            (self.plan, self.start, self.end, self.done) = (plan, start, end, done)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { begin(context) }
        }

        private func begin(_ context: ChannelHandlerContext) {
            if plan.stream { out.writeFrame(ByteBuffer()) }
            for _ in 0..<(plan.stream ? 1 : plan.outstanding) { send(ByteBuffer(bytes: plan.payload), .now) }
            context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            out.clear()
            while let frame = received.readFrame() { take(frame) }
            if received.readableBytes == 0 { received.clear() } else { received.discardReadBytes() }
            if isDone { return context.close(promise: nil) }
            if out.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(out), promise: nil) }
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
            done.succeed(report)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if !isDone { done.fail(error) }
            isDone = true
            context.close(promise: nil)
        }
    }
}
