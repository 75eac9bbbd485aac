import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

/// Three servers over mutual TLS, restarted one after another under load.
@Suite(.timeLimit(.minutes(2)))
struct RollingRestartTests {
    /// What handlers of a server wait for, while a test holds it.
    private final class Holds: Sendable {
        private let latches = Mutex<[Int: Latch]>([:])
        /// Calls that were not the first attempt.
        let repeated = Atomic(0)

        subscript(server: Int) -> Latch? {
            get { latches.withLock { $0[server] } }
            set { latches.withLock { $0[server] = newValue } }
        }
    }

    private func servers(_ method: MethodDescriptor, _ holds: Holds) -> ServerSet {
        ServerSet(3) { index in
            [
                AsyncMethod(bytes: method) { request, context in
                    if context.attempt > 1 { holds.repeated.wrappingAdd(1, ordering: .relaxed) }
                    if let hold = holds[index] { try await untilCancelled(hold) }
                    return request
                }
            ]
        }
    }

    @Test("With drain, no call fails, though none may run twice")
    func drained() async throws {
        let (load, holds) = (Load(), Holds())
        let method = MethodDescriptor.test("Once", idempotency: .unknown)
        let servers = servers(method, holds)
        try await servers.withClient { client in
            try await load.run(16, { () throws(RPCError) in try await client.call(method, [1]) }) {
                // Else one that is held could hold all callers: those of a moment ago, when it was the only one, too.
                try await until { client.readyPeers == 3 }
                let first = load.answers
                try await until { load.answers > first + 200 }
                for index in 0..<3 {
                    let latch = Latch()
                    holds[index] = latch
                    try await until { (servers.server(index)?.openCalls ?? 0) > 0 }
                    let stopped = Task { try await servers.stop(index) }
                    let before = load.answers
                    // The others serve meanwhile; then what was under way ends too.
                    try await until { load.answers > before + 200 }
                    holds[index] = nil
                    latch.open()
                    try await stopped.value
                    try await servers.start(index)
                    try await until { client.readyPeers == 3 }
                }
                let before = load.answers
                try await until { load.answers > before + 200 }
            }
        }
        #expect(load.errors == [])
        #expect(load.answers >= 800)
    }

    @Test("With connections cut, no call fails that may run twice")
    func killed() async throws {
        let (load, holds) = (Load(), Holds())
        let method = MethodDescriptor.test("Again", idempotency: .idempotent)
        let servers = servers(method, holds)
        try await servers.withClient { client in
            for index in 0..<3 {
                try await servers.stop(index)
                try await servers.start(index, grace: .zero)
            }
            try await load.run(16, { () throws(RPCError) in try await client.call(method, [1]) }) {
                // Else one that is held could hold all callers.
                try await until { client.readyPeers == 3 }
                for index in 0..<3 {
                    holds[index] = Latch()
                    try await until { (servers.server(index)?.openCalls ?? 0) > 0 }
                    let before = holds.repeated.load(ordering: .relaxed)
                    try await servers.stop(index)
                    holds[index] = nil
                    try await until { holds.repeated.load(ordering: .relaxed) > before }
                    try await servers.start(index, grace: .zero)
                    try await until { client.readyPeers == 3 }
                }
            }
        }
        #expect(load.errors == [])
        #expect(holds.repeated.load(ordering: .relaxed) >= 3)
    }
}
