import RPCClient
import RPCCore
import RPCTransport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct AmplificationTests {
    @Test("Over three hops, of which the last fails always, each call arrives there hardly more than once")
    func threeHops() async throws {
        let total = 2000
        let arrived = Count()
        let names = ["First", "Second", "Third"].map { MethodDescriptor.test($0, idempotency: .idempotent) }
        let third = AsyncMethod(bytes: names[2]) { _, _ in
            arrived.up()
            throw RPCError(.unavailable, "down")
        }
        try await withServer([third]) { _, address in
            try await withClient(address, Self.quick) { toThird in
                try await withServer([Self.relay(names[1], to: names[2], toThird)]) { _, address in
                    try await withClient(address, Self.quick) { toSecond in
                        try await withServer([Self.relay(names[0], to: names[1], toSecond)]) { _, address in
                            try await withClient(address, Self.quick) { client in
                                try await Self.call(client, names[0], total)
                            }
                        }
                    }
                }
            }
        }
        let count = arrived.now
        #expect(count > total && Double(count) / Double(total) <= 1.1, "\(count)")
    }

    private static func quick(_ options: inout ClientOptions) {
        options.retry.pauses = Backoff(base: .milliseconds(1), maximum: .milliseconds(1), minimum: .zero)
    }

    private static func relay(
        _ method: MethodDescriptor, to next: MethodDescriptor, _ client: ClientPool
    ) -> AsyncMethod {
        AsyncMethod(bytes: method) { request, context in
            try await client.call(next, request: request, options: context.outgoing())
        }
    }

    private static func call(_ client: ClientPool, _ method: MethodDescriptor, _ total: Int) async throws {
        let failed = Count()
        await withTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    for _ in 0..<(total / 20) {
                        let answer = try? await client.call(method, request: [], options: CallOptions())
                        if answer == nil { failed.up() }
                    }
                }
            }
        }
        #expect(failed.now == total)
    }
}
