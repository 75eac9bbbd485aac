import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import Synchronization

/// Several servers of one service, each at an address that stays its own while it is stopped and started again.
final class ServerSet: Sendable {
    private struct Running {
        let server: AsyncServer
        let task: Task<Void, any Error>
    }

    private let methods: @Sendable (Int) -> [AsyncMethod]
    private let running: Mutex<[Int: Running]> = Mutex([:])
    private let ports: Mutex<[Int: Int]> = Mutex([:])
    let count: Int

    /// - Parameter methods: Of the server of that index.
    init(_ count: Int, _ methods: @escaping @Sendable (Int) -> [AsyncMethod]) {
        self.count = count
        self.methods = methods
    }

    var addresses: [HostPort] {
        ports.withLock { ports in ports.sorted { $0.key < $1.key }.map { HostPort(host: "127.0.0.1", port: $0.value) } }
    }

    func server(_ index: Int) -> AsyncServer? { running.withLock { $0[index]?.server } }

    func startAll() async throws {
        for index in 0..<count where server(index) == nil { try await start(index) }
    }

    /// At its old address as soon as that is free.
    func start(_ index: Int, grace: Duration = .seconds(10)) async throws {
        var options = ServerOptions(port: ports.withLock { $0[index] } ?? 0)
        options.drainGrace = grace
        while true {
            let server = try AsyncServer(
                handlers: [TestAsyncService(asyncMethods: methods(index))],
                tls: try TestCertificates.shared.get().identity("auth"), options: options)
            do {
                let address = try await server.start()
                ports.withLock { $0[index] = address.port }
                return running.withLock { $0[index] = Running(server: server, task: Task { try await server.run() }) }
            } catch is ServerStartError {
                // The port is not free yet, and nobody says when it is.
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    func stop(_ index: Int) async throws {
        guard let running = running.withLock({ $0.removeValue(forKey: index) }) else { return }
        running.server.shutdown()
        try await running.task.value
    }

    /// Runs `body` with all servers started, and a client of them.
    func withClient<Value: Sendable>(
        _ change: (inout ClientOptions) -> Void = { _ in }, resolver: (any PeerResolver)? = nil,
        _ body: (ClientPool) async throws -> Value
    ) async throws -> Value {
        try await startAll()
        var options = ClientOptions(connections: 1)
        change(&options)
        let pool = try ClientPool(
            service: "auth", resolver: resolver ?? StaticResolver(addresses),
            tls: try TestCertificates.shared.get().identity("gateway"), options: options)
        do {
            let value = try await body(pool)
            await pool.shutdown()
            for index in 0..<count { try await stop(index) }
            return value
        } catch {
            await pool.shutdown()
            for index in 0..<count { try? await stop(index) }
            throw error
        }
    }
}

/// A number that several tasks count up.
final class Count: Sendable {
    private let value = Atomic(0)

    var now: Int { value.load(ordering: .relaxed) }
    func up() { value.wrappingAdd(1, ordering: .relaxed) }
    func down() { value.wrappingSubtract(1, ordering: .relaxed) }
}

/// Callers that go on calling until they are told to stop, and what became of their calls.
final class Load: Sendable {
    private let stopping = Atomic(false)
    private let answered = Atomic(0)
    private let failures = Mutex<[RPCError]>([])

    var answers: Int { answered.load(ordering: .relaxed) }
    var errors: [RPCError] { failures.withLock { $0 } }

    /// Calls from so many tasks while `body` runs.
    func run(
        _ callers: Int, _ call: @escaping @Sendable () async throws(RPCError) -> [UInt8],
        while body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            for _ in 0..<callers { group.addTask { await self.go(call) } }
            defer { stopping.store(true, ordering: .relaxed) }
            try await body()
        }
    }

    private func go(_ call: () async throws(RPCError) -> [UInt8]) async {
        while !stopping.load(ordering: .relaxed) {
            do throws(RPCError) {
                _ = try await call()
                answered.wrappingAdd(1, ordering: .relaxed)
            } catch {
                failures.withLock { $0.append(error) }
            }
        }
    }
}
