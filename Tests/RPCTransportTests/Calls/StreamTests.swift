import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import Testing

/// Streams over mutual TLS, between two event loops.
@Suite(.timeLimit(.minutes(1)))
struct StreamTests {
    private static let down = MethodDescriptor.test("Down", kind: .serverStreaming)
    private static let up = MethodDescriptor.test("Up", kind: .clientStreaming)
    private static let both = MethodDescriptor.test("Both", kind: .bidirectional)

    /// As many messages as the request's first two bytes say, of 1,000 bytes each.
    private static let counting = AsyncMethod(streaming: down) { parts, _ in
        let count = Int(parts.request[0]) * 256 + Int(parts.request[1])
        for number in 0..<count {
            try await parts.responses.write([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1000))
        }
        return []
    }

    private static let adding = AsyncMethod(streaming: up) { parts, _ in
        var sum = 0
        while let message = try await parts.requests.next() { sum += message.count }
        return Array("\(sum)".utf8)
    }

    private static let echoing = AsyncMethod(streaming: both) { parts, _ in
        while let message = try await parts.requests.next() { try await parts.responses.write(message) }
        return []
    }

    private func messages(_ stream: any RPCStream) async throws(RPCError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        while let message = try await stream.responses.next() { found.append(message) }
        return found
    }

    @Test("Every message of a server's stream arrives, in order", arguments: [0, 1, 5000])
    func serverStreams(_ count: Int) async throws {
        try await withServer([Self.counting]) { _, address in
            try await withClient(address) { client in
                let request = [UInt8(count / 256), UInt8(count % 256)]
                let stream = try client.open(Self.down, request: request, options: CallOptions())
                let found = try await messages(stream)
                #expect(found.map(\.first) == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
                #expect(try await stream.answer() == [])
            }
        }
    }

    @Test("A client's stream is read to its end before the answer", arguments: [0, 1, 300])
    func clientStreams(_ count: Int) async throws {
        try await withServer([Self.adding]) { _, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.up, request: [], options: CallOptions())
                for _ in 0..<count { try await stream.requests.write([UInt8](repeating: 1, count: 10_000)) }
                stream.finishRequests()
                #expect(try await stream.answer() == Array("\(count * 10_000)".utf8))
            }
        }
    }

    @Test("Both directions flow at once, and a message may be longer than any frame")
    func bothStream() async throws {
        try await withServer([Self.echoing]) { _, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.both, request: [], options: CallOptions())
                let sizes = [0, 1, 70_000, 1_000_000, 5]
                async let found = messages(stream)
                for size in sizes { try await stream.requests.write([UInt8](repeating: 9, count: size)) }
                stream.finishRequests()
                #expect(try await found.map(\.count) == sizes)
            }
        }
    }

    @Test("A reader that stops suspends its writer; other calls of the connection go on")
    func backpressure() async throws {
        let written = Atomic(0)
        let filled = Promised<Void>()
        let endless = AsyncMethod(streaming: Self.down) { parts, context in
            while true {
                // The write that has to wait is the last one that is counted.
                let number = written.add(1, ordering: .relaxed).newValue
                if number == 1 { filled.fulfill(()) }
                try await parts.responses.write([UInt8](repeating: 0, count: 16_384))
            }
        }
        try await withServer([endless, .echo]) { _, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.down, request: [], options: CallOptions())
                try await filled.value
                var before = -1
                // Each round trip gives the writer its turn; once it does not move any more, it waits.
                for _ in 0..<10_000 where before != written.load(ordering: .relaxed) {
                    before = written.load(ordering: .relaxed)
                    for _ in 0..<20 { _ = try await client.call(AsyncMethod.echoDescriptor, [1]) }
                }
                // The client's credit, the server's buffer, and the message that waits.
                let limits = (ClientOptions().limits.callCredit, ServerOptions().limits.streamBuffer)
                #expect(before * 16_384 <= Int(limits.0 + limits.1) + 2 * 16_384)
                for _ in 0..<100 { _ = try await stream.responses.next() }
                #expect(written.load(ordering: .relaxed) > before)
                stream.cancel()
            }
        }
    }

    @Test("Cancelling ends the handler's reading and writing", arguments: [CallKind.serverStreaming, .bidirectional])
    func cancel(_ kind: CallKind) async throws {
        let started = Promised<Void>()
        let ended = Promised<RPCError>()
        let method = MethodDescriptor.test("Long", kind: kind)
        let long = AsyncMethod(streaming: method) { parts, _ in
            started.fulfill(())
            do throws(RPCError) {
                if kind == .bidirectional { _ = try await parts.requests.next() }
                while true { try await parts.responses.write([UInt8](repeating: 0, count: 100_000)) }
            } catch {
                ended.fulfill(error)
                throw error
            }
        }
        try await withServer([long]) { server, address in
            try await withClient(address) { client in
                let stream = try client.open(method, request: [], options: CallOptions())
                try await started.value
                stream.cancel()
                #expect(try await ended.value.code == .cancelled)
                let error = await #expect(throws: RPCError.self) { try await stream.answer() }
                #expect(error?.code == .cancelled)
            }
        }
    }

    @Test("The deadline ends a stream on both sides")
    func deadline() async throws {
        let ended = Promised<RPCError>()
        let waiting = AsyncMethod(streaming: Self.both) { parts, _ in
            do throws(RPCError) {
                while try await parts.requests.next() != nil {}
            } catch {
                ended.fulfill(error)
                throw error
            }
            return []
        }
        try await withServer([waiting]) { _, address in
            try await withClient(address) { client in
                let options = CallOptions(timeout: .milliseconds(100))
                let stream = try client.open(Self.both, request: [], options: options)
                let error = await #expect(throws: RPCError.self) { try await stream.responses.next() }
                #expect(error?.code == .deadlineExceeded)
                // The server's own timer, or the client's CANCEL, whichever comes first.
                #expect([.deadlineExceeded, .cancelled].contains(try await ended.value.code))
            }
        }
    }

    @Test("What a handler throws comes behind the messages that it wrote")
    func failure() async throws {
        let failing = AsyncMethod(streaming: Self.down) { parts, _ in
            for _ in 0..<3 { try await parts.responses.write([1]) }
            throw RPCError(.dataLoss, "The rest is gone.", reason: "gone")
        }
        try await withServer([failing]) { _, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.down, request: [], options: CallOptions())
                for _ in 0..<3 { #expect(try await stream.responses.next() == [1]) }
                let error = await #expect(throws: RPCError.self) { try await stream.responses.next() }
                #expect(error?.code == .dataLoss)
                #expect(error?.reason == "gone")
            }
        }
    }

    @Test("A server that answers early ends its client's writing")
    func earlyAnswer() async throws {
        let hasty = AsyncMethod(streaming: Self.up) { _, _ in [7] }
        try await withServer([hasty]) { _, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.up, request: [], options: CallOptions())
                let error = await #expect(throws: RPCError.self) {
                    while true { try await stream.requests.write([UInt8](repeating: 1, count: 50_000)) }
                }
                #expect(error?.reason == "stream_ended")
                #expect(try await stream.answer() == [7])
            }
        }
    }

    @Test("A connection that is lost ends its streams")
    func lostConnection() async throws {
        let stuck = AsyncMethod(streaming: Self.both) { parts, _ in
            try await parts.responses.write([1])
            while try await parts.requests.next() != nil {}
            return []
        }
        var options = ServerOptions()
        options.drainGrace = .milliseconds(50)
        let error = try await withServer([stuck], options: options) { server, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.both, request: [], options: CallOptions())
                #expect(try await stream.responses.next() == [1])
                server.shutdown()
                return await #expect(throws: RPCError.self) { try await stream.responses.next() }
            }
        }
        #expect(error?.code == .unavailable)
    }

    @Test("A unary call of a streaming method is refused, and the other way round")
    func wrongKind() async throws {
        try await withServer([Self.counting, .echo]) { _, address in
            try await withClient(address) { client in
                let unary = MethodDescriptor.test("Down", callers: ["gateway"])
                let streaming = MethodDescriptor.test("Echo", kind: .bidirectional)
                #expect(try await client.failure(unary, [0, 1]).reason == "wrong_call_kind")
                let stream = try client.open(streaming, request: [], options: CallOptions())
                let error = await #expect(throws: RPCError.self) { try await stream.answer() }
                #expect(error?.reason == "wrong_call_kind")
                #expect(try await client.call(AsyncMethod.echoDescriptor, [2]) == [2])
            }
        }
    }

    @Test("A stream that waits for a connection is written once there is one")
    func beforeTheConnection() async throws {
        let port = try await withServer([Self.adding]) { _, address in address.port }
        let address = BoundAddress(host: "127.0.0.1", port: port)
        try await withClient(address) { client in
            let stream = try client.open(Self.up, request: [], options: CallOptions())
            let writing = Task { try await stream.requests.write([1, 2, 3]) }
            var options = ServerOptions()
            options.port = port
            try await withServer([Self.adding], options: options) { _, _ in
                try await writing.value
                stream.finishRequests()
                #expect(try await stream.answer() == Array("3".utf8))
            }
        }
    }
}
