import NIOCore
import NIOPosix
import RPCClient
import RPCCore
@testable import RPCTransport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ReconnectTests {
    private let named = MethodDescriptor.test("Named")

    private func server(_ name: String) -> AsyncMethod {
        AsyncMethod(bytes: named) { _, _ in Array(name.utf8) }
    }

    /// A port on which nobody listens.
    private func freePort() async throws -> Int {
        try await withServer([.echo]) { _, address in address.port }
    }

    /// Runs a server on that port as soon as it is free.
    private func serve<Value: Sendable>(
        _ method: AsyncMethod, port: Int, _ body: (AsyncServer) async throws -> Value
    ) async throws -> Value {
        while true {
            do {
                return try await withServer([method], options: ServerOptions(port: port)) { server, _ in
                    try await body(server)
                }
            } catch is ServerStartError {
                // The port is not free yet, and nobody says when it is.
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    @Test("A drain loses no call: what runs ends, what is new goes to the next server")
    func drain() async throws {
        let (started, release) = (Latch(), Latch())
        let slow = AsyncMethod(bytes: .test("Slow")) { request, _ in
            started.open()
            await release.wait()
            return request
        }
        try await withServer([slow, server("first")]) { first, address in
            try await withClient(address) { client in
                let inFlight = Task { try await client.call(slow.descriptor, [42]) }
                await started.wait()
                first.shutdown()
                #expect(first.isDraining)
                try await serve(server("second"), port: address.port) { _ in
                    // Whether the client has seen DRAIN by now or is refused by it, the call must succeed.
                    try await until { try await client.call(named) == Array("second".utf8) }
                    release.open()
                    let inFlightAnswer = try await inFlight.value
                    #expect(inFlightAnswer == [42])
                }
            }
        }
    }

    @Test("With hundreds of calls under way and more to come, a restart fails none of them")
    func drainUnderLoad() async throws {
        let meeting = Rendezvous(300) { Array(0..<$0) }
        let gathered = AsyncMethod(bytes: named) { request, _ in
            await meeting.meet()
            return request
        }
        try await withServer([gathered]) { first, address in
            try await withClient(address, { $0.connections = 2 }) { client in
                try await withThrowingTaskGroup(of: [UInt8].self) { group in
                    for _ in 0..<299 { group.addTask { try await client.call(named, [1]) } }
                    try await until { first.openCalls >= 299 }
                    // The last party comes while the server drains, by way of a call that was let in before.
                    first.shutdown()
                    try await serve(server("second"), port: address.port) { _ in
                        for _ in 0..<100 { group.addTask { try await client.call(named, [2]) } }
                        Task { await meeting.meet() }
                        for try await answer in group {
                            // [2] is of one that was let in before its connection had heard of the drain.
                            #expect([[1], [2], Array("second".utf8)].contains(answer), "\(answer)")
                        }
                    }
                }
            }
        }
    }

    @Test("A service that was restarted is found again")
    func restart() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            for name in ["first", "second", "third"] {
                try await serve(server(name), port: port) { _ in
                    let answer = try await client.call(named)
                    #expect(answer == Array(name.utf8))
                }
            }
        }
    }

    @Test("A call waits for a service that is not there yet")
    func waitsForReady() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            let call = Task { try await client.call(named) }
            try await until { client.waitingCalls != 0 }
            try await serve(server("late"), port: port) { _ in
                let answer = try await call.value
                #expect(answer == Array("late".utf8))
            }
        }
    }

    @Test("A call that waited in vain says for what, how long, and what went wrong")
    func inVain() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            let error = try await client.failure(named, timeout: .seconds(2))
            #expect(error.code == .unavailable)
            #expect(error.processed == .no)
            #expect(error.message.contains("for a connection to auth at 127.0.0.1:\(port)"))
            #expect(error.message.hasPrefix("waited "))
            #expect(error.message.hasSuffix("last failure: connection refused"))
            #expect(error.timeline.waitedFor == "connection refused")
        }
    }

    @Test("A deadline that passes before anything has failed is just that, and says what the call waited for")
    func tooLittleTime() async throws {
        // Takes connections, and says nothing on them.
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            let error = try await client.failure(named, timeout: .milliseconds(200))
            #expect(error.code == .deadlineExceeded)
            #expect(error.processed == .no)
            #expect(error.message.contains("for a connection to auth at 127.0.0.1:\(port)"))
            #expect(error.timeline.waitedForConnection != nil && error.timeline.waitedFor == nil)
        }
        try await silent.close().get()
    }

    @Test("A call that does not want to wait fails with the first attempt")
    func failsFast() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            let error = try await client.failure(named, timeout: .seconds(30)) { $0.waitForReady = false }
            #expect(error.code == .unavailable)
            #expect(error.message.contains("connection refused"))
        }
    }

    @Test("A client that is shut down while it waits ends its calls at once")
    func shutdownWhileWaiting() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port)) { client in
            let call = Task { try await client.failure(named, timeout: .seconds(50)) }
            try await until { client.waitingCalls != 0 }
            await client.shutdown()
            let ended = try await call.value
            #expect(ended.code == .unavailable)
        }
    }

    @Test("A connection whose slots are taken hands calls to one that has some")
    func fullConnections() async throws {
        let release = Latch()
        let slow = AsyncMethod(bytes: named) { request, _ in
            await release.wait()
            return request
        }
        var options = ServerOptions()
        options.limits.maxConcurrentCalls = 2
        try await withServer([slow], options: options) { server, address in
            try await withClient(address, { $0.connections = 2 }) { client in
                // All from one loop, whose own connection they prefer.
                let loop = LoopExecutor(MultiThreadedEventLoopGroup.singleton.any())
                let calls = (0..<5).map { _ in
                    Task(executorPreference: loop) { try await client.call(named, [7]) }
                }
                try await until { server.openCalls == 4 && client.waitingCalls == 1 }
                release.open()
                for call in calls {
                    let answer = try await call.value
                    #expect(answer == [7])
                }
            }
        }
    }

    @Test("A pool that is in use and lost a connection opens it again, though no call waits")
    func regrows() async throws {
        var options = ServerOptions()
        options.maximumConnections = 2
        try await withServer([server("only")], options: options) { _, address in
            try await withClient(address) { first in
                _ = try await first.call(named)
                try await withClient(address, { $0.connections = 2 }) { client in
                    _ = try await client.call(named)
                    #expect(client.readyConnections == 1)
                    await first.shutdown()
                    try await until { client.readyConnections == 2 }
                }
            }
        }
    }

    @Test("What waits is bounded")
    func bounded() async throws {
        let port = try await freePort()
        try await withClient(BoundAddress(host: "127.0.0.1", port: port), { $0.maximumWaiting = 1 }) { client in
            let call = Task { try await client.failure(named, timeout: .seconds(50)) }
            try await until { client.waitingCalls != 0 }
            let error = try await client.failure(named, timeout: .seconds(50))
            #expect(error.code == .resourceExhausted)
            #expect(error.processed == .no)
            call.cancel()
            #expect(try await call.value.code == .cancelled)
        }
    }

    @Test("A lost connection says what it was and how long it lived, and that the call may have run")
    func lost() async throws {
        let started = Latch()
        let method = AsyncMethod(bytes: .test("Cut")) { request, _ in
            started.open()
            try await untilCancelled(Latch())
            return request
        }
        var options = ServerOptions()
        options.drainGrace = .zero
        try await withServer([method], options: options) { server, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                server.shutdown()
                let error = try await call.value
                #expect(error.code == .unavailable)
                #expect(error.processed == .maybe)
                #expect(error.reason == "connection_lost")
                #expect(error.message.contains("The connection to auth at 127.0.0.1:\(address.port) was lost after"))
                #expect(error.message.contains(/, its last frame (DRAIN|GOODBYE), its last byte/), "\(error.message)")
                #expect(error.timeline.queued == nil && error.timeline.ran == nil, "the server told no times")
                #expect(error.timeline.sent != nil && error.timeline.waitedForConnection != nil)
            }
        }
    }
}
