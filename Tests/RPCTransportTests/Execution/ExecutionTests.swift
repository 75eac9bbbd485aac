import NIOCore
import NIOPosix
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ExecutionTests {
    /// Where a handler found itself.
    private struct Where: Sendable, Equatable {
        var isOnLoop: Bool
        var hasTask: Bool

        static var here: Where {
            let hasTask = withUnsafeCurrentTask { $0 != nil }
            return Where(isOnLoop: MultiThreadedEventLoopGroup.currentEventLoop != nil, hasTask: hasTask)
        }
    }

    private func client<Value: Sendable>(
        _ address: BoundAddress, _ body: (any RPCChannel) async throws -> Value
    ) async throws -> Value {
        try await withClient(address, of: "encryption") { try await body($0) }
    }

    private static func sync(
        _ name: String, _ cost: Cost, _ body: @escaping @Sendable ([UInt8], CallContext) throws -> [UInt8]
    ) -> SyncMethod {
        SyncMethod(bytes: .test(name, execution: .sync, cost: cost), body)
    }

    @Test("INLINE runs on the event loop without a task, larger requests and POOL on another thread")
    func inline() async throws {
        let seen = Mutex<[Where]>([])
        let method = Self.sync("Inline", .inline(limit: 10)) { request, _ in
            seen.withLock { $0.append(.here) }
            return request
        }
        let pooled = Self.sync("Pool", .pool) { request, _ in
            seen.withLock { $0.append(.here) }
            return request
        }
        try await withSyncServer([method, pooled]) { _, address in
            try await client(address) { client in
                _ = try await client.call(method.descriptor, [UInt8](repeating: 1, count: 10))
                _ = try await client.call(method.descriptor, [UInt8](repeating: 1, count: 11))
                _ = try await client.call(pooled.descriptor, [1])
            }
        }
        let inline = Where(isOnLoop: true, hasTask: false)
        let pool = Where(isOnLoop: false, hasTask: false)
        #expect(seen.withLock { $0 } == [inline, pool, pool])
    }

    @Test("ASYNC runs on the event loop, before and after it suspends")
    func async() async throws {
        let seen = Mutex<[Where]>([])
        let method = AsyncMethod(bytes: .test("Hops")) { request, _ in
            seen.withLock { $0.append(.here) }
            await Task.yield()
            seen.withLock { $0.append(.here) }
            // A suspension that ends elsewhere: where the handler goes on is what is asked here.
            try await Task.sleep(for: .microseconds(1))
            seen.withLock { $0.append(.here) }
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { _ = try await $0.call(method.descriptor) }
        }
        #expect(seen.withLock { $0 } == Array(repeating: Where(isOnLoop: true, hasTask: true), count: 3))
    }

    @Test("An ASYNC server hosts shared SYNC services inline, and no others")
    func shared() async throws {
        let seen = Promised<Where>()
        let health = SyncMethod(bytes: .test("Health", execution: .sync, cost: .inline(limit: 0))) { request, _ in
            seen.fulfill(.here)
            return request
        }
        try await withServer([.echo], shared: [health]) { _, address in
            try await withClient(address) { client in
                let answer = try await client.call(health.descriptor, [1, 2])
                #expect(answer == [1, 2])
            }
        }
        #expect(try await seen.value == Where(isOnLoop: true, hasTask: false))
        #expect(throws: HostingError.self) {
            try AsyncServer(
                handlers: [], hostedByBoth: [TestSyncService(syncMethods: [])],
                tls: try TestCertificates.shared.get().identity("auth"))
        }
    }

    @Test("Two methods with one id are not hosted")
    func collision() throws {
        #expect(throws: HostingError.self) {
            try AsyncServer(
                handlers: [TestAsyncService(asyncMethods: [.echo, .echo])],
                tls: try TestCertificates.shared.get().identity("auth"))
        }
    }

    @Test("ASVS 15.2.2, 15.4.4: While workers are busy and the queue is full, the event loop answers and more work is refused at once")
    func refusal() async throws {
        let gate = ThreadGate()
        let started = Latch()
        let hash = Self.sync("Hash", .pool) { request, _ in
            started.open()
            gate.wait()
            return request
        }
        let quick = Self.sync("Quick", .inline(limit: 100)) { request, _ in request }
        var options = ServerOptions()
        (options.poolWorkers, options.poolQueue) = (1, 5)
        try await withSyncServer([hash, quick], options: options) { server, address in
            try await client(address) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = try await client.call(hash.descriptor) }
                    await started.wait()
                    for _ in 0..<4 { group.addTask { _ = try await client.call(hash.descriptor) } }
                    try await until { server.openCalls >= 5 }
                    let refused = try await client.failure(hash.descriptor)
                    #expect(refused.code == .resourceExhausted)
                    #expect(refused.processed == .no)
                    #expect(refused.retryAfter != nil)
                    #expect(try await client.call(quick.descriptor, [1]) == [1])
                    gate.open(5)
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test("An emergency takes the next free worker, before what has waited longer")
    func emergency() async throws {
        let gate = ThreadGate()
        let started = Latch()
        let order = Mutex<[UInt8]>([])
        let work = Self.sync("Work", .pool) { request, _ in
            order.withLock { $0.append(request[0]) }
            if request[0] == 0 {
                started.open()
                gate.wait()
            }
            return request
        }
        var options = ServerOptions()
        (options.poolWorkers, options.poolQueue) = (1, 10)
        try await withSyncServer([work], users: TestTokens(), options: options) { server, address in
            try await client(address) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = try await client.call(work.descriptor, [0]) }
                    await started.wait()
                    for (index, lane) in [Lane.routine, .routine, .emergency].enumerated() {
                        group.addTask {
                            _ = try await client.call(work.descriptor, [UInt8(index + 1)]) { options in
                                options.lane = lane
                                options.userToken = "usr_1:high:member"
                            }
                        }
                        try await until { server.openCalls >= index + 2 }
                    }
                    gate.open()
                    try await group.waitForAll()
                }
            }
        }
        #expect(order.withLock { $0 } == [0, 3, 1, 2])
    }

    @Test("What expires or is cancelled while it waits never runs")
    func expired() async throws {
        let gate = ThreadGate()
        let started = Latch()
        let ran = Mutex<[UInt8]>([])
        let work = Self.sync("Work", .pool) { request, _ in
            ran.withLock { $0.append(request[0]) }
            started.open()
            gate.wait()
            return request
        }
        var options = ServerOptions()
        options.poolWorkers = 1
        try await withSyncServer([work], options: options) { server, address in
            try await client(address) { client in
                async let first = client.call(work.descriptor, [0])
                await started.wait()
                let error = try await client.failure(work.descriptor, [1], timeout: .milliseconds(500))
                #expect(error.code == .deadlineExceeded)
                let cancelled = Task { try await client.failure(work.descriptor, [2]) }
                try await until { server.openCalls >= 2 }
                cancelled.cancel()
                #expect(try await cancelled.value.code == .cancelled)
                try await until { server.openCalls <= 1 }
                gate.open(3)
                let firstAnswer = try await first
                #expect(firstAnswer == [0])
            }
        }
        #expect(ran.withLock { $0 } == [0])
    }

    @Test("A caller that goes away raises the flag that a SYNC handler looks at")
    func flag() async throws {
        let gate = ThreadGate()
        let started = Latch()
        let outcome = Promised<Bool>()
        let work = Self.sync("Flag", .pool) { request, context in
            started.open()
            gate.wait()
            outcome.fulfill(context.cancellation.isCancelled)
            return request
        }
        let quick = Self.sync("Quick", .inline(limit: 100)) { request, _ in request }
        try await withSyncServer([work, quick]) { _, address in
            try await client(address) { client in
                let call = Task { try await client.failure(work.descriptor) }
                await started.wait()
                call.cancel()
                #expect(try await call.value.code == .cancelled)
                _ = try await client.call(quick.descriptor)
                gate.open()
                #expect(try await outcome.value)
            }
        }
    }

    /// The event loop is the handler's own: nobody can raise a flag there while it runs.
    @Test("A SYNC handler that looks between items stops at its deadline, on its event loop too", arguments: [
        Cost.inline(limit: 100), .pool,
    ])
    func flagAtTheDeadline(cost: Cost) async throws {
        let items = Mutex(0)
        let work = Self.sync("Items", cost) { request, context in
            while true {
                try context.cancellation.check()
                items.withLock { $0 += 1 }
            }
        }
        let quick = Self.sync("Quick", .inline(limit: 100)) { request, _ in request }
        try await withSyncServer([work, quick]) { server, address in
            try await client(address) { client in
                let error = try await client.failure(work.descriptor, timeout: .milliseconds(300))
                #expect(error.code == .deadlineExceeded)
                _ = try await client.call(quick.descriptor)
                try await until { server.openCalls == 0 }
                #expect(items.withLock { $0 } > 0)
            }
        }
    }

    @Test("A SYNC handler that goes on without its caller is told nothing by its deadline")
    func detachedFlag() async throws {
        let outcome = Promised<Bool>()
        let gate = ThreadGate()
        let descriptor = MethodDescriptor.test("Detached", execution: .sync, cost: .pool, onCancel: .detach)
        let work = SyncMethod(bytes: descriptor) { request, context in
            gate.wait()
            outcome.fulfill(context.deadline.hasPassed() && context.cancellation.isCancelled)
            return request
        }
        try await withSyncServer([work]) { _, address in
            try await client(address) { client in
                let error = try await client.failure(work.descriptor, timeout: .milliseconds(300))
                #expect(error.code == .deadlineExceeded)
                gate.open()
                #expect(try await outcome.value == false)
            }
        }
    }

    @Test("More INLINE work than a loop can do is refused unprocessed or done, each call once, and the loop stays open")
    func inlineOverload() async throws {
        let ran = Mutex(0)
        let work = CPUSteps.untilMillisecond
        let busy = Self.sync("Busy", .inline(limit: 10)) { request, _ in
            ran.withLock { $0 += 1 }
            _ = CPUSteps.spin(work * 4)
            return request
        }
        var options = ServerOptions()
        options.longestLoopWait = .milliseconds(100)
        try await withSyncServer([busy], options: options) { server, address in
            try await client(address) { client in
                let outcomes = await withTaskGroup(of: RPCError?.self) { group in
                    for _ in 0..<400 {
                        group.addTask {
                            do throws(RPCError) {
                                _ = try await client.call(busy.descriptor, [1])
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    return await group.reduce(into: [RPCError?]()) { $0.append($1) }
                }
                let refused = outcomes.compactMap { $0 }
                #expect(refused.count > 0, "1.6 s of work were taken on")
                #expect(refused.count < 400)
                let isUnprocessed = refused.allSatisfy {
                    $0.code == .resourceExhausted && $0.processed == .no && $0.retryAfter != nil
                }
                #expect(isUnprocessed)
                #expect(ran.withLock { $0 } == 400 - refused.count)
                #expect(try await client.call(busy.descriptor, [2]) == [2])
                try await until { server.openCalls == 0 }
            }
        }
    }

    @Test("A pool that is stopped gives up what waits and joins its threads")
    func stop() throws {
        let pool = CPUPool(workers: 1, capacity: 5)
        let turns = Mutex<[String]>([])
        let (gate, started) = (ThreadGate(), ThreadGate())
        try pool.start()
        for name in ["runs", "waits"] {
            _ = try pool.add(method: 1, lane: .routine, deadline: .after(.seconds(60))) { turn in
                turns.withLock { $0.append("\(name): \(turn)") }
                guard name == "runs" else { return gate.open() }
                started.open()
                gate.wait()
            }
        }
        started.wait()
        // Giving up the one that waits lets go the one that runs, for which `stop` waits.
        pool.stop()
        #expect(turns.withLock { $0 } == ["runs: run", "waits: stopped"])
        #expect(throws: CPUPool.Refusal.self) {
            try pool.add(method: 1, lane: .routine, deadline: .after(.seconds(60))) { _ in }
        }
    }
}

/// CPU work of about a known length, counted in steps.
private enum CPUSteps {
    /// Steps that take about a millisecond here.
    static let untilMillisecond: Int = {
        let start = ContinuousClock.now
        _ = spin(200_000)
        let took = Double(start.duration(to: .now).components.attoseconds) / 1e15
        return max(Int(200_000 / max(took, 0.01)), 1000)
    }()

    @inline(never) static func spin(_ steps: Int) -> UInt64 {
        (0..<steps).reduce(1) { state, step in state &* 6_364_136_223_846_793_005 &+ UInt64(step) }
    }
}
