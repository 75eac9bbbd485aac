import RPCClient
import RPCCore
import RPCTransport
import Testing
import WireCore

@Suite(.timeLimit(.minutes(1)))
struct RetryTests {
    private static func refusal(_ code: UInt32, _ processed: WireStatus.Processed) -> WireStatus {
        WireStatus(code: code, message: "no", processed: processed)
    }

    @Test("retry/nack-once: a call that the server did not process is sent once more, and says so")
    func once() async throws {
        let script = Script([Self.refusal(WireStatusCode.unavailable, .no)])
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
            }
        }
        #expect(script.attempts == [nil, 2])
    }

    @Test("A connection that says GOODBYE right behind HELLO is none: the call goes over the next one")
    func farewell() async throws {
        let script = Script([], farewells: 3)
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
                #expect(client.readyConnections == 1)
            }
        }
        #expect(script.attempts == [nil])
    }

    @Test("So often, not for ever; the error says how often")
    func notForEver() async throws {
        let script = Script(Array(repeating: Self.refusal(WireStatusCode.unavailable, .no), count: 9))
        try await script.serve { address in
            try await withClient(address, { $0.retry.attempts = 4 }) { client in
                let ended = try await client.failure(AsyncMethod.echoDescriptor)
                #expect(ended.code == .unavailable)
                #expect(ended.timeline.attempts == 4)
            }
        }
        #expect(script.attempts == [nil, 2, 3, 4])
    }

    @Test("A call may ask not to be repeated")
    func notAtAll() async throws {
        let script = Script([Self.refusal(WireStatusCode.unavailable, .no)])
        try await script.serve { address in
            try await withClient(address) { client in
                let ended = try await client.failure(AsyncMethod.echoDescriptor) { $0.repeats = false }
                #expect(ended.code == .unavailable)
            }
        }
        #expect(script.attempts == [nil])
    }

    @Test("drain/race: a call that crossed DRAIN is sent over another connection, once, at no cost")
    func crossedDrain() async throws {
        let script = Script(steps: [.drain])
        try await script.serve { address in
            // No token to spend, and a pause that would outlast the test.
            let change = { (options: inout ClientOptions) in
                options.retry.tokens = 0
                options.retry.pauses = Backoff(base: .seconds(600), maximum: .seconds(600), minimum: .seconds(600))
            }
            try await withClient(address, change) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
            }
        }
        #expect(script.attempts == [nil, 2])
    }

    @Test(
        "retry/only-idempotent: what a cut connection may have run is sent again only where the contract allows it",
        arguments: [(Idempotency.unknown, 1), (.idempotent, 2), (.noSideEffects, 2)])
    func onlyIdempotent(idempotency: Idempotency, attempts: Int) async throws {
        let method = MethodDescriptor.test("Cut", idempotency: idempotency)
        let script = Script(steps: [.cut])
        try await script.serve { address in
            try await withClient(address) { client in
                guard attempts == 1 else {
                    let answer = try await client.call(method, [5])
                    return #expect(answer == [5])
                }
                let error = try await client.failure(method, [5])
                #expect(error.code == .unavailable && error.processed == .maybe)
            }
        }
        #expect(script.attempts.count == attempts)
    }

    @Test("retry/budget-and-pushback: the server's own time is kept, and one beyond the deadline ends the call")
    func pushback() async throws {
        var refusal = Self.refusal(WireStatusCode.resourceExhausted, .no)
        refusal.retryAfterMillis = 200
        let script = Script([refusal])
        try await script.serve { address in
            try await withClient(address) { client in
                let start = ContinuousClock.now
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
                // A lower bound of what the client itself decides: no load can make it shorter.
                #expect(start.duration(to: .now) >= .milliseconds(200))
            }
        }
        #expect(script.attempts == [nil, 2])
        refusal.retryAfterMillis = 60_000
        let late = Script([refusal])
        try await late.serve { address in
            try await withClient(address) { client in
                let error = try await client.failure(AsyncMethod.echoDescriptor, timeout: .seconds(50))
                #expect(error.code == .resourceExhausted && error.retryAfter == .seconds(60))
            }
        }
        #expect(late.attempts == [nil])
    }

    @Test("retry/budget-and-pushback: a server that fails every call hears hardly more than one attempt of each")
    func budget() async throws {
        let script = Script(Array(repeating: Self.refusal(WireStatusCode.unavailable, .yes), count: 10_000))
        let method = MethodDescriptor.test("Failing", idempotency: .idempotent)
        try await script.serve { address in
            let change = { (options: inout ClientOptions) in
                options.retry.tokens = 20
                options.retry.pauses = Backoff(base: .milliseconds(1), maximum: .milliseconds(1), minimum: .zero)
            }
            try await withClient(address, change) { client in
                for _ in 0..<200 { _ = try await client.failure(method) }
            }
        }
        #expect((201...210).contains(script.attempts.count), "\(script.attempts.count)")
    }

    /// Servers of a stream that writes as many messages as its request says, then waits for the end; each answer begins
    /// with the attempt.
    private func streaming(_ method: MethodDescriptor, _ attempts: Promised<Int>, _ waits: Latch) -> ServerSet {
        ServerSet(2) { _ in
            [
                AsyncMethod(streaming: method) { parts, context in
                    for _ in 0..<(parts.request.first ?? 0) { try await parts.responses.write([UInt8(context.attempt)]) }
                    guard context.attempt == 1 else {
                        attempts.fulfill(context.attempt)
                        try await parts.responses.write([UInt8(context.attempt)])
                        return []
                    }
                    waits.open()
                    try await untilCancelled(Latch())
                    return []
                }
            ]
        }
    }

    private func killTheOneThatHasCalls(_ servers: ServerSet) async throws {
        for index in 0..<servers.count where servers.server(index)?.openCalls != 0 { try await servers.stop(index) }
    }

    @Test("retry/no-retry-after-first-response: of a stream that was cut, the reader sees no message twice")
    func afterFirstResponse() async throws {
        let method = MethodDescriptor.test("Listed", kind: .serverStreaming, idempotency: .noSideEffects)
        let (second, waits) = (Promised<Int>(), Latch())
        let servers = streaming(method, second, waits)
        try await servers.withClient { client in
            for index in 0..<servers.count {
                try await servers.stop(index)
                try await servers.start(index, grace: .zero)
            }
            let stream = try client.open(method, request: [1], options: CallOptions())
            let first = try await stream.responses.next()
            #expect(first == [1])
            await waits.wait()
            try await killTheOneThatHasCalls(servers)
            let error = await #expect(throws: RPCError.self) { try await stream.responses.next() }
            #expect(error?.code == .unavailable && error?.processed == .maybe)
        }
        #expect(!second.isFulfilled)
    }

    @Test("A stream that was cut before its first message begins again elsewhere")
    func beforeFirstResponse() async throws {
        let method = MethodDescriptor.test("Listed", kind: .serverStreaming, idempotency: .noSideEffects)
        let (second, waits) = (Promised<Int>(), Latch())
        let servers = streaming(method, second, waits)
        try await servers.withClient { client in
            for index in 0..<servers.count {
                try await servers.stop(index)
                try await servers.start(index, grace: .zero)
            }
            let stream = try client.open(method, request: [0], options: CallOptions())
            await waits.wait()
            try await killTheOneThatHasCalls(servers)
            let first = try await stream.responses.next()
            #expect(first == [2])
            let attempt = try await second.value
            #expect(attempt == 2)
        }
    }

    @Test(
        "What may have run, and what a busy or forbidding server refused, is not sent again",
        arguments: [
            (WireStatusCode.unavailable, WireStatus.Processed.maybe), (WireStatusCode.unavailable, .yes),
            (WireStatusCode.resourceExhausted, .no), (WireStatusCode.permissionDenied, .no),
        ])
    func others(code: UInt32, processed: WireStatus.Processed) async throws {
        let script = Script([Self.refusal(code, processed)])
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.failure(AsyncMethod.echoDescriptor).code.rawValue
                #expect(answer == code)
            }
        }
        #expect(script.attempts.count == 1)
    }
}
