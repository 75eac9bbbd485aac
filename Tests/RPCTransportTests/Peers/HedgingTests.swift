import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HedgingTests {
    private static let read = MethodDescriptor.test("Read", idempotency: .noSideEffects)

    /// Holds the first attempt until it is cancelled, and says so; answers others with their number.
    private func holding(_ method: MethodDescriptor, _ cancelled: Latch) -> AsyncMethod {
        AsyncMethod(bytes: method) { _, context in
            if context.attempt == 1 {
                let own = Latch()
                defer { cancelled.open() }
                try await untilCancelled(own)
            }
            return [UInt8(context.attempt)]
        }
    }

    @Test("The second attempt answers when the first does not, and the first is cancelled")
    func slowFirst() async throws {
        let cancelled = Latch()
        try await withServer([holding(Self.read, cancelled)]) { server, address in
            try await withClient(address) { client in
                let answer = try await client.call(Self.read) { $0.hedgeDelay = .milliseconds(5) }
                #expect(answer == [2])
                await cancelled.wait()
                try await until { server.openCalls == 0 }
            }
        }
    }

    @Test("It goes to another server")
    func elsewhere() async throws {
        let served = Mutex<[Int: Int]>([:])
        let servers = ServerSet(2) { index in
            [
                AsyncMethod(bytes: Self.read) { _, context in
                    served.withLock { $0[context.attempt] = index }
                    if context.attempt == 1 { try await untilCancelled(Latch()) }
                    return []
                },
                .echo,
            ]
        }
        try await servers.withClient({ $0.hedgeDelay = .milliseconds(5) }) { client in
            _ = try await client.call(AsyncMethod.echoDescriptor)
            try await until { client.readyPeers == 2 }
            _ = try await client.call(Self.read)
        }
        let (first, second) = served.withLock { ($0[1], $0[2]) }
        #expect(first != nil && second != nil && first != second)
    }

    @Test("A call that is answered in time is made once")
    func quick() async throws {
        let calls = Count()
        let method = AsyncMethod(bytes: Self.read) { request, _ in
            calls.up()
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address, { $0.hedgeDelay = .seconds(60) }) { client in
                for _ in 0..<20 {
                    let answer = try await client.call(Self.read, [9])
                    #expect(answer == [9])
                }
            }
        }
        #expect(calls.now == 20)
    }

    @Test("What crosses DRAIN is sent elsewhere, free, as without hedging")
    func crossedDrain() async throws {
        let script = Script(steps: [.drain, .drain, .drain])
        try await script.serve { address in
            // No token to spend, and nothing that would start a second attempt.
            let change = { (options: inout ClientOptions) in
                options.retry.tokens = 0
                options.hedgeDelay = .seconds(600)
            }
            try await withClient(address, change) { client in
                let answer = try await client.call(Self.read, [5])
                #expect(answer == [5])
            }
        }
        #expect(script.attempts == [nil, 2, 3, 4])
    }

    @Test("Methods that may have effects are not hedged", arguments: [Idempotency.unknown, .idempotent])
    func effects(_ idempotency: Idempotency) async throws {
        let calls = Count()
        let (started, release) = (Latch(), Latch())
        let method = AsyncMethod(bytes: .test("Write", idempotency: idempotency)) { request, _ in
            calls.up()
            started.open()
            await release.wait()
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address, { $0.hedgeDelay = .zero }) { client in
                let call = Task { try await client.call(method.descriptor) }
                await started.wait()
                // A hedge would have been sent before these.
                for _ in 0..<5 { _ = try? await client.call(AsyncMethod.echoDescriptor) }
                release.open()
                _ = try await call.value
            }
        }
        #expect(calls.now == 1)
    }

    @Test("Hedges take tokens: without any left, calls are made once")
    func budget() async throws {
        let calls = Count()
        let release = Latch()
        let method = AsyncMethod(bytes: Self.read) { request, _ in
            calls.up()
            await release.wait()
            return request
        }
        let change = { (options: inout ClientOptions) in
            options.hedgeDelay = .zero
            options.retry.tokens = 8
            options.retry.ratio = 0
        }
        try await withServer([method, .echo]) { server, address in
            try await withClient(address, change) { client in
                let tasks = (0..<20).map { _ in Task { try await client.call(Self.read) } }
                try await until { server.openCalls >= 24 }
                // What was sent before this has arrived before it.
                _ = try await client.call(AsyncMethod.echoDescriptor)
                #expect(calls.now == 24)
                release.open()
                for task in tasks { _ = try await task.value }
            }
        }
    }

    @Test("Cancelling the call cancels both attempts")
    func cancelled() async throws {
        let running = Count()
        let method = AsyncMethod(bytes: Self.read) { request, _ in
            running.up()
            defer { running.down() }
            try await untilCancelled(Latch())
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address, { $0.hedgeDelay = .milliseconds(1) }) { client in
                let call = Task { try await client.failure(Self.read) }
                try await until { running.now == 2 }
                call.cancel()
                #expect(try await call.value.code == .cancelled)
                try await until { running.now == 0 }
            }
        }
    }

    @Test("The deadline ends both, and the call once")
    func deadline() async throws {
        let method = AsyncMethod(bytes: Self.read) { request, _ in
            try await untilCancelled(Latch())
            return request
        }
        try await withServer([method]) { server, address in
            try await withClient(address, { $0.hedgeDelay = .milliseconds(1) }) { client in
                let error = try await client.failure(Self.read, timeout: .milliseconds(300))
                #expect(error.code == .deadlineExceeded)
                try await until { server.openCalls == 0 }
            }
        }
    }

    @Test("A first attempt that fails brings the second forward")
    func failing() async throws {
        let method = AsyncMethod(bytes: Self.read) { _, context in
            guard context.attempt > 1 else { throw RPCError(.unavailable, "no") }
            return [UInt8(context.attempt)]
        }
        try await withServer([method]) { _, address in
            try await withClient(address, { $0.hedgeDelay = .seconds(600) }) { client in
                let answer = try await client.call(Self.read)
                #expect(answer == [2])
            }
        }
    }
}
