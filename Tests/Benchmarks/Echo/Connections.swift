import ArgumentParser
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import RPCTransport
import WireCore

/// Connections without calls, made by the same bare client whoever serves: one after the other, each with a full
/// handshake and no resumption, or many that are held.
///
/// A connection counts once the server has answered over it: with its HELLO, or, the floor, with the frame it was sent.
struct Connect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Connects for a while, or connects and stays.")

    @OptionGroup var options: StateOptions
    @Option(help: "Where the server listens.") var port: Int
    @Option(help: "Connections that are to stay, until standard input ends; 0: each ends at once.") var hold = 0
    @Option(help: "Handshakes under way at once.") var parallel = 4
    @Option(help: "Handshakes in a second at most.") var rate = Double.infinity
    @Option(help: "Seconds that are measured, after one that is not.") var seconds = 3.0

    func run() async throws {
        let maker = Connector(peer: options.peer, tls: try options.tls("operator"), port: port)
        if hold > 0 { try await hold(maker) } else { try await measure(maker) }
    }

    private func hold(_ maker: Connector) async throws {
        let (hold, parallel) = (hold, parallel)
        let channels = try await withThrowingTaskGroup(of: [any Channel].self) { group in
            for worker in 0..<parallel {
                group.addTask {
                    var made: [any Channel] = []
                    for _ in stride(from: worker, to: hold, by: parallel) { made.append(try await maker.connect()) }
                    return made
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        LoadPlan.announceStart()
        // The pool's thread, not a task's, waits for whoever started this.
        try await NIOThreadPool.singleton.runIfActive { _ = readLine() }
        print("{\"held\": \(channels.count { $0.isActive }), \"of\": \(hold)}")
    }

    private func measure(_ maker: Connector) async throws {
        let start = ContinuousClock.now.advanced(by: LoadPlan.warmUp)
        let end = start.advanced(by: .seconds(seconds))
        let (parallel, pause) = (parallel, Duration.seconds(Double(parallel) / rate))
        let report = try await withThrowingTaskGroup(of: LoadReport.self) { group in
            for worker in 0..<parallel {
                group.addTask {
                    try await Task.sleep(for: pause * worker / parallel)
                    return try await Self.repeatConnects(maker, pause, start, end)
                }
            }
            group.addTask {
                try await Task.sleep(until: start)
                LoadPlan.announceStart()
                let before = processCPU()
                try await Task.sleep(until: end)
                return LoadReport(cpu: processCPU() - before)
            }
            return try await group.reduce(into: LoadReport(seconds: seconds)) { total, part in
                total.calls += part.calls
                total.cpu += part.cpu
                total.latencies.add(part.latencies)
            }
        }
        print(report.json)
    }

    private static func repeatConnects(
        _ maker: Connector, _ pause: Duration, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        var report = LoadReport()
        while ContinuousClock.now < end {
            let before = ContinuousClock.now
            let channel = try await maker.connect()
            let after = ContinuousClock.now
            channel.close(promise: nil)
            if before >= start, after <= end {
                report.calls += 1
                report.latencies.add(before.duration(to: after))
            }
            if pause > .zero { try await Task.sleep(until: before.advanced(by: pause)) }
        }
        return report
    }
}

/// Makes bare connections.
struct Connector: Sendable {
    let peer: Peer
    let tls: TLSIdentity
    let port: Int

    /// A connection whose server has answered.
    func connect() async throws -> any Channel {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answered = loop.makePromise(of: Void.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { [tls, peer] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: tls.clientContext, serverHostname: nil),
                        Handler(isFloor: peer == .floor, answered),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        try await answered.futureResult.get()
        return channel
    }

    /// Says HELLO, or the floor's frame, and answers PING for as long as it lives.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let isFloor: Bool
        private let answered: EventLoopPromise<Void>
        private var hasAnswered = false
        private var machine: ClientConnection?

        init(isFloor: Bool, _ answered: EventLoopPromise<Void>) { (self.isFloor, self.answered) = (isFloor, answered) }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent else { return }
            if isFloor {
                var frame = ByteBuffer()
                frame.writeFrame(ByteBuffer(repeating: 7, count: 128))
                context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
            } else {
                do { machine = try ClientConnection(now: WireClock.now) } catch { return errorCaught(context: context, error: error) }
                send(context)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            machine?.receive(unwrapInboundIn(data), now: WireClock.now)
            while machine?.nextEvent() != nil {}
            answer()
        }

        func channelReadComplete(context: ChannelHandlerContext) { send(context) }

        private func send(_ context: ChannelHandlerContext) {
            while let bytes = machine?.takeOutbound() { context.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }
        }

        private func answer() {
            guard !hasAnswered else { return }
            hasAnswered = true
            answered.succeed()
        }

        func channelInactive(context: ChannelHandlerContext) { fail(ChannelError.eof) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            fail(error)
            context.close(promise: nil)
        }

        private func fail(_ error: any Error) {
            guard !hasAnswered else { return }
            hasAnswered = true
            answered.fail(error)
        }
    }
}
