import ArgumentParser
import NIOCore
import NIOPosix
import RPCCore
import RPCTransport
import ServiceKit

/// A server whose methods take the time that it is told.
struct ServeOverload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-overload", abstract: "Serves methods of a given cost until it is killed.")

    @Option(help: "The state directory, with certificates.") var state = ".lockstep"
    @Option(help: "inline, pool, async, adaptive or mixed.") var method = OverloadMethod.inline
    @Option(help: "Microseconds that a call of the method takes.") var micros = 250
    @Option(help: "Rounds of bcrypt, as a power of two, that a call to the pool takes instead; 0: none.") var rounds = 0
    @Option(help: "Event loops, and threads of the CPU pool.") var threads = 1
    @Option(help: "How the pool's threads are scheduled: normal, batch or idle.") var policy = "batch"
    @Option(help: "How nice they are.") var niceness: Int32?

    func run() async throws {
        var options = ServerOptions()
        options.group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        options.poolWorkers = threads
        options.poolScheduling = scheduling
        let tls = try StateOptions.tls(state, method.service)
        let users = try IdentityTokenVerifier(
            certificateFile: "\(state)/certs/gateway-identity.pem", authorityFile: "\(state)/ca.pem")
        switch method {
        case .inline, .pool:
            let server = try SyncServer(
                handlers: [SyncService(syncMethods: both)], tls: tls, users: users, options: options)
            EchoServers.announce(try await server.start().port)
            try await server.run()
        case .async, .adaptive, .mixed:
            let server = try AsyncServer(
                handlers: [AsyncService(asyncMethods: [asyncMethod])], tls: tls, users: users, options: options)
            EchoServers.announce(try await server.start().port)
            try await server.run()
        }
    }

    private var scheduling: Scheduling {
        guard let niceness else { return .standard }
        return Scheduling(policy == "batch" ? .batch : policy == "idle" ? .idle : .normal, niceness: niceness)
    }

    /// Both SYNC methods, so that one can be called while the other is saturated; what is not asked for takes 100 us,
    /// or 100 ms in the pool.
    private var both: [SyncMethod] {
        let (work, rounds) = (CPUWork(), rounds)
        return [OverloadMethod.inline, .pool].map { kind in
            let cost = kind == method ? micros : kind == .pool ? 100_000 : 100
            if kind == .pool, rounds > 0 { return SyncMethod(bytes: kind.descriptor) { _, _ in CPUWork.bcrypt(rounds) } }
            return SyncMethod(bytes: kind.descriptor) { _, _ in [work.run(microseconds: cost)] }
        }
    }

    private var asyncMethod: AsyncMethod {
        let wait = Duration.microseconds(micros)
        guard method == .adaptive else {
            let waits = method == .async
            return AsyncMethod(bytes: method.descriptor) { request, _ in
                if waits || request == OverloadMethod.slowRequest { try await Task.sleep(for: wait) }
                return request
            }
        }
        let scarce = Scarce(OverloadMethod.served)
        return AsyncMethod(bytes: method.descriptor) { request, _ in
            try await scarce.use { try await Task.sleep(for: wait) }
            return request
        }
    }

    private struct SyncService: SyncServiceHandler {
        static let contract = ServiceDescriptor(
            name: "lockstep.overload.v1.OverloadService", execution: .sync, hostedByBoth: false, methods: [],
            fingerprint: 1)
        let syncMethods: [SyncMethod]
    }

    private struct AsyncService: AsyncServiceHandler {
        static let contract = ServiceDescriptor(
            name: "lockstep.overload.v1.OverloadService", execution: .async, hostedByBoth: false, methods: [],
            fingerprint: 1)
        let asyncMethods: [AsyncMethod]
    }
}

extension OverloadMethod: ExpressibleByArgument {}

/// Something that only so many can have at once; the others wait in line.
private actor Scarce {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func use(_ body: @Sendable () async throws -> Void) async rethrows {
        if free > 0 { free -= 1 } else { await withCheckedContinuation { waiting.append($0) } }
        defer { if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() } }
        try await body()
    }
}
