import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

/// Handlers that hold their event loop are named, while they do and when they let go.
@Suite(.timeLimit(.minutes(1))) struct LoopWatchTests {
    /// A server on a loop of its own that somebody watches.
    private func watched(
        _ methods: [AsyncMethod], shared: [SyncMethod] = [], held: @escaping @Sendable (LoopHold) -> Void,
        delayed: @escaping @Sendable (Duration) -> Void = { _ in },
        _ body: (LoopWatch, ClientPool) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let watch = LoopWatch(group: group, held: held, delayed: delayed)
        var options = ServerOptions()
        options.group = group
        options.loopWatch = watch
        try await withServer(methods, shared: shared, options: options) { _, address in
            try await withClient(address) { pool in try await body(watch, pool) }
        }
        try await group.shutdownGracefully()
    }

    @Test func anInlineHandlerIsNamedWhileItHolds() async throws {
        let method = MethodDescriptor.test("Hold", execution: .sync, cost: .inline(limit: 1024))
        let gate = ThreadGate()
        let holds = Mutex<[LoopHold]>([])
        let report: @Sendable (LoopHold) -> Void = { hold in
            holds.withLock { $0.append(hold) }
            // Only the report lets the handler go: without one this test does not end.
            gate.open()
        }
        let handler = SyncMethod(bytes: method) { request, _ in
            gate.wait()
            return request
        }
        try await watched([], shared: [handler], held: report) { watch, pool in
            watch.start()
            _ = try await pool.call(method)
            watch.stop()
        }
        let seen = holds.withLock { $0 }
        #expect(seen.map(\.method.name) == ["Hold"])
        let hold = try #require(seen.first)
        #expect(!hold.hasEnded && hold.held > LoopWatch.threshold)
    }

    @Test func anAsyncHandlerIsNamedAlsoAfterItHasWaited() async throws {
        let method = MethodDescriptor.test("Resume")
        let gate = ThreadGate()
        let holds = Mutex<[LoopHold]>([])
        let report: @Sendable (LoopHold) -> Void = { hold in
            holds.withLock { $0.append(hold) }
            gate.open()
        }
        let handler = AsyncMethod(bytes: method) { request, _ in
            await Task.yield()
            block(on: gate)
            return request
        }
        try await watched([handler], held: report) { watch, pool in
            watch.start()
            _ = try await pool.call(method)
            watch.stop()
        }
        #expect(holds.withLock { $0.map(\.method.name) } == ["Resume"])
    }

    @Test func aHandlerThatNobodySawIsNamedWhenItLetsGo() async throws {
        let method = MethodDescriptor.test("Busy", execution: .sync, cost: .inline(limit: 1024))
        let holds = Mutex<[LoopHold]>([])
        let report: @Sendable (LoopHold) -> Void = { hold in holds.withLock { $0.append(hold) } }
        let handler = SyncMethod(bytes: method) { request, _ in
            let end = ContinuousClock.now.advanced(by: LoopWatch.threshold * 1.1)
            while ContinuousClock.now < end {}
            return request
        }
        // Nobody looks: the watch is not started.
        try await watched([], shared: [handler], held: report) { _, pool in _ = try await pool.call(method) }
        let seen = holds.withLock { $0 }
        #expect(seen.map(\.method.name) == ["Busy"])
        #expect(seen.first?.hasEnded == true)
    }

    @Test func aHandlerIsNamedOnceAndNotBeforeItsTime() async throws {
        let method = MethodDescriptor.test("Hold", execution: .sync, cost: .inline(limit: 1024))
        let (entered, gate) = (Promised<Void>(), ThreadGate())
        let holds = Mutex<[LoopHold]>([])
        let report: @Sendable (LoopHold) -> Void = { hold in holds.withLock { $0.append(hold) } }
        let handler = SyncMethod(bytes: method) { request, _ in
            entered.fulfill(())
            gate.wait()
            return request
        }
        let before = MonotonicInstant.now
        try await watched([], shared: [handler], held: report) { watch, pool in
            async let answer = pool.call(method)
            try await entered.value
            watch.look(now: before + LoopWatch.threshold)
            #expect(holds.withLock { $0.isEmpty })
            let later = MonotonicInstant.now + LoopWatch.threshold * 2
            watch.look(now: later)
            watch.look(now: later + LoopWatch.threshold)
            gate.open()
            _ = try await answer
        }
        let seen = holds.withLock { $0 }
        #expect(seen.map(\.method.name) == ["Hold"])
        #expect(seen.first?.hasEnded == false)
    }

    @Test func aLoopThatDoesNotAnswerIsLate() async throws {
        let method = MethodDescriptor.test("Hold", execution: .sync, cost: .inline(limit: 1024))
        let (entered, gate) = (Promised<Void>(), ThreadGate())
        let delays = Mutex<[Duration]>([])
        let handler = SyncMethod(bytes: method) { request, _ in
            entered.fulfill(())
            gate.wait()
            return request
        }
        let delayed: @Sendable (Duration) -> Void = { delay in delays.withLock { $0.append(delay) } }
        try await watched([], shared: [handler], held: { _ in }, delayed: delayed) { watch, pool in
            async let answer = pool.call(method)
            try await entered.value
            let asked = MonotonicInstant.now
            watch.look(now: asked)
            try await until { try #require(watch.delays.first) > .milliseconds(20) }
            #expect(delays.withLock { $0 }.isEmpty)
            gate.open()
            _ = try await answer
            try await until { !delays.withLock { $0 }.isEmpty }
        }
        #expect(try #require(delays.withLock { $0.first }) > .milliseconds(20))
    }
}

/// Holds a thread from a task, which is what a handler must not do.
private func block(on gate: ThreadGate) { gate.wait() }
