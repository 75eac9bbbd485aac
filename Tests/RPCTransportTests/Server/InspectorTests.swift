import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing

@Suite struct InspectorTests {
    let inspector = ServerInspector()

    func options(_ change: (inout ServerOptions) -> Void = { _ in }) -> ServerOptions {
        var options = ServerOptions()
        options.inspector = inspector
        change(&options)
        return options
    }

    @Test("Connections and calls are seen while they last")
    func calls() async throws {
        let (started, cancelled) = (Latch(), Latch())
        let wait = AsyncMethod(bytes: .test("Wait", maximumLane: .routine)) { _, _ in
            started.open()
            try await untilCancelled(cancelled)
            return []
        }
        try await withServer([.echo, wait], options: options()) { _, address in
            try await withClient(address) { client in
                _ = try await client.call(AsyncMethod.echoDescriptor)
                let call = Task { try await client.call(wait.descriptor) { $0.requestID = "req_seen" } }
                await started.wait()
                let connection = try #require(inspector.loops(within: .seconds(20)).flatMap(\.connections).first)
                #expect(connection.peer?.service == "gateway")
                #expect(connection.totalCalls == 2)
                #expect(connection.address.hasPrefix("127.0.0.1:"))
                #expect(connection.age != nil && connection.silence != nil)
                let seen = try #require(connection.calls.first)
                #expect(connection.calls.count == 1)
                #expect(seen.context.method.name == "Wait" && seen.context.requestID == "req_seen")
                #expect(seen.state == .running && seen.context.lane == .routine)
                #expect(inspector.summary?.methods.first { $0.method.name == "Wait" }?.running == 1)
                call.cancel()
                _ = await call.result
            }
        }
    }

    @Test("A call that waits for a worker is queued, and the pool says how many do")
    func queue() async throws {
        let (gate, started) = (ThreadGate(), Latch())
        let hash = SyncMethod(bytes: .test("Hash", execution: .sync, cost: .pool)) { request, _ in
            started.open()
            gate.wait()
            return request
        }
        let options = options { $0.poolWorkers = 1 }
        try await withSyncServer([hash], options: options) { _, address in
            try await withClient(address, of: "encryption") { client in
                let calls = (0..<2).map { _ in Task { try await client.call(hash.descriptor) } }
                await started.wait()
                try await until { inspector.summary?.pool?.waitingRoutine == 1 }
                let states = inspector.loops(within: .seconds(20)).flatMap(\.connections).flatMap(\.calls).map(\.state)
                #expect(Set(states) == [.queued, .running] && states.count == 2)
                let pool = try #require(inspector.summary?.pool)
                #expect(pool.workers == 1 && pool.running == 1 && pool.waitingEmergency == 0)
                gate.open(2)
                for call in calls { _ = try await call.value }
            }
        }
    }

    @Test("A loop that a handler holds does not answer, and the report says so")
    func heldLoop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (gate, started) = (ThreadGate(), Latch())
        let hold = SyncMethod(bytes: .test("Hold", execution: .sync, cost: .inline(limit: 4096))) { request, _ in
            started.open()
            gate.wait()
            return request
        }
        try await withSyncServer([hold], options: options { $0.group = group }) { _, address in
            try await withClient(address, of: "encryption") { client in
                let call = Task { try await client.call(hold.descriptor) }
                await started.wait()
                let held = try #require(inspector.loops(within: .milliseconds(20)).first)
                #expect(!held.answers && held.connectionCount == 1 && held.connections.isEmpty)
                gate.open()
                _ = try await call.value
                let free = try #require(inspector.loops(within: .seconds(20)).first)
                #expect(free.answers && free.connections.count == 1)
            }
        }
        try await group.shutdownGracefully()
    }

    @Test("What both classes host and costs POOL is answered while all workers are busy, in either class")
    func operations() async throws {
        let (gate, started) = (ThreadGate(), Latch())
        let hash = SyncMethod(bytes: .test("Hash", execution: .sync, cost: .pool)) { request, _ in
            started.open()
            gate.wait()
            return request
        }
        let ask = SyncMethod(bytes: .test("Ask", execution: .sync, cost: .pool)) { _, _ in [7] }
        let server = try SyncServer(
            handlers: [TestSyncService(syncMethods: [hash]), TestSharedService(syncMethods: [ask])],
            tls: try TestCertificates.shared.get().identity("encryption"), options: options { $0.poolWorkers = 1 })
        let address = try await server.start()
        let running = Task { try await server.run() }
        try await withClient(address, of: "encryption") { client in
            let busy = Task { try await client.call(hash.descriptor) }
            await started.wait()
            #expect(try await client.call(ask.descriptor) == [7])
            gate.open()
            _ = try await busy.value
        }
        server.shutdown()
        try await running.value
        try await withServer([.echo], shared: [ask]) { _, address in
            let answer = try await withClient(address) { try await $0.call(ask.descriptor) }
            #expect(answer == [7])
        }
    }
}
