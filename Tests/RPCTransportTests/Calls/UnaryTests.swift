import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing
import WireCore

@Suite(.timeLimit(.minutes(1)))
struct UnaryTests {
    @Test("A call and its answer cross a real connection, with all that is said about them")
    func echo() async throws {
        let seen = Promised<CallContext>()
        let method = AsyncMethod(bytes: .test("Seen")) { request, context in
            seen.fulfill(context)
            return request.reversed()
        }
        try await withServer([method], users: TestTokens()) { _, address in
            try await withClient(address) { client in
                let answer = try await client.call(method.descriptor, [1, 2, 3], timeout: .seconds(20)) { options in
                    options.requestID = "req_1"
                    options.origin = ClientOrigin(address: "192.0.2.1", userAgent: "curl")
                    options.metadata.append("tint", [0, 255])
                    options.metadata.append("tint", [1])
                    options.metadata.append("lockstep-secret", [9])
                    options.lane = .emergency
                    options.userToken = "usr_1:high:member"
                }
                #expect(answer == [3, 2, 1])
            }
        }
        let context = try await seen.value
        #expect(context.peer.service == "gateway")
        #expect(context.requestID == "req_1")
        #expect(context.origin == ClientOrigin(address: "192.0.2.1", userAgent: "curl"))
        #expect(context.metadata.pairs.map(\.key) == ["tint", "tint"])
        #expect(context.metadata.pairs.map(\.value) == [[0, 255], [1]])
        #expect(context.user?.subject == "usr_1")
        #expect(context.lane == .emergency)
        #expect(context.attempt == 1)
        #expect(context.deadline.remaining() <= .seconds(20))
    }

    @Test("Messages of many frames arrive whole", arguments: [0, 1, 70_000, 3_000_000])
    func sizes(size: Int) async throws {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await withServer([.echo]) { _, address in
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, bytes)
                #expect(answer == bytes)
            }
        }
    }

    @Test("A thousand calls at once are answered out of order, none crossed")
    func concurrent() async throws {
        let random = SeededRandom()
        print("seed \(random.seed)")
        let meeting = Rendezvous(1000) { count in
            var generator = SeededRandom(seed: random.seed)
            return Array(0..<count).shuffled(using: &generator)
        }
        let method = AsyncMethod(bytes: .test("Meet")) { request, _ in
            await meeting.meet()
            return request
        }
        try await withServer([method]) { server, address in
            try await withClient(address) { client in
                try await callMany(1000, client, method.descriptor)
            }
            #expect(server.openCalls == 0)
        }
    }

    @Test("Calls beyond the server's limit wait for a slot and all succeed")
    func slots() async throws {
        var options = ServerOptions()
        options.limits.maxConcurrentCalls = 4
        try await withServer([.echo], options: options) { _, address in
            try await withClient(address) { client in
                try await callMany(200, client, AsyncMethod.echoDescriptor)
                #expect(client.waitingCalls == 0)
            }
        }
    }

    @Test("A request over the contract's limit is refused before it is sent, an answer over it by the server")
    func limits() async throws {
        let small = AsyncMethod(bytes: .test("Small", requestLimit: 10, responseLimit: 10)) { _, _ in
            [UInt8](repeating: 0, count: 100)
        }
        try await withServer([small]) { _, address in
            try await withClient(address) { client in
                let tooLarge = try await client.failure(small.descriptor, [UInt8](repeating: 0, count: 11))
                #expect(tooLarge.code == .resourceExhausted)
                #expect(tooLarge.processed == .no)
                let answer = try await client.failure(small.descriptor)
                #expect(answer.code == .resourceExhausted)
            }
        }
    }

    private func callMany(_ count: Int, _ client: some RPCChannel, _ method: MethodDescriptor) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<count {
                let bytes = [UInt8(index & 255), UInt8(index >> 8)]
                group.addTask { try await client.call(method, bytes) == bytes }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}
