import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CancellationTests {
    @Test("Cancelling the caller's task cancels the handler's")
    func reachesHandler() async throws {
        let (started, cancelled) = (Latch(), Latch())
        let method = AsyncMethod(bytes: .test("Wait")) { request, context in
            started.open()
            try await untilCancelled(cancelled)
            #expect(context.cancellation.isCancelled)
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                call.cancel()
                let ended = try await call.value
                #expect(ended.code == .cancelled)
                await cancelled.wait()
            }
        }
    }

    /// CANCEL is handled before the frame behind it: by the time that one is answered, every task below the handler has
    /// been told. So no clock is needed to see that it was at once.
    @Test("The whole tree of tasks below a handler is cancelled, before anything that comes behind")
    func reachesTheTree() async throws {
        let leaves = 8
        let started = Promised<Void>()
        let running = Atomic<Int>(0)
        let told = Atomic<Int>(0)
        let leaf: @Sendable () async -> Void = {
            let gone = Latch()
            await withTaskCancellationHandler {
                if running.add(1, ordering: .relaxed).newValue == leaves { started.fulfill(()) }
                await gone.wait()
            } onCancel: {
                told.add(1, ordering: .relaxed)
                gone.open()
            }
        }
        let method = AsyncMethod(bytes: .test("Tree")) { request, _ in
            async let alone: Void = leaf()
            await withTaskGroup { group in
                for _ in 0..<3 { group.addTask { await leaf() } }
                group.addTask {
                    await withTaskGroup { inner in
                        for _ in 0..<(leaves - 4) { inner.addTask { await leaf() } }
                    }
                }
            }
            await alone
            return request
        }
        try await withServer([method, .echo]) { _, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                try await started.value
                #expect(told.load(ordering: .relaxed) == 0)
                call.cancel()
                #expect(try await call.value.code == .cancelled)
                _ = try await client.call(AsyncMethod.echoDescriptor)
                #expect(told.load(ordering: .relaxed) == leaves)
            }
        }
    }

    @Test("The caller goes on at once, though the handler does not listen")
    func returnsAtOnce() async throws {
        let (started, release) = (Latch(), Latch())
        let method = AsyncMethod(bytes: .test("Deaf")) { request, _ in
            started.open()
            await release.wait()
            return request
        }
        try await withServer([method]) { server, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                call.cancel()
                let ended = try await call.value
                #expect(ended.code == .cancelled)
                // CANCEL frees nothing: the call holds its place until the handler has ended.
                #expect(server.openCalls == 1)
                release.open()
            }
        }
    }

    @Test("A handler with on_cancel DETACH runs to its end")
    func detach() async throws {
        let (started, release) = (Latch(), Latch())
        let wasCancelled = Promised<Bool>()
        let method = AsyncMethod(bytes: .test("Detached", onCancel: .detach)) { request, context in
            started.open()
            await release.wait()
            wasCancelled.fulfill(Task.isCancelled || context.cancellation.isCancelled)
            return request
        }
        try await withServer([method, .echo]) { _, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                call.cancel()
                let ended = try await call.value
                #expect(ended.code == .cancelled)
                // Behind CANCEL on the same connection: once it is answered, CANCEL has been handled.
                _ = try await client.call(AsyncMethod.echoDescriptor)
                release.open()
                let handlerWasCancelled = try await wasCancelled.value
                #expect(handlerWasCancelled == false)
            }
        }
    }

    @Test("A connection that goes away cancels its handlers")
    func disconnect() async throws {
        let (started, cancelled) = (Latch(), Latch())
        let method = AsyncMethod(bytes: .test("Orphan")) { request, _ in
            started.open()
            try await untilCancelled(cancelled)
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address, { $0.shutdownGrace = .zero }) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                await client.shutdown()
                let error = try await call.value
                #expect(error.code == .unavailable)
                #expect(error.processed == .maybe)
                #expect(error.message.contains("auth at 127.0.0.1"))
                await cancelled.wait()
            }
        }
    }

    @Test("A drain waits for a handler that outlives its connection: what it works with is closed afterwards")
    func drainWaitsForDetachedHandlers() async throws {
        let (started, gone, release) = (Latch(), Latch(), Latch())
        let hasEnded = Mutex(false)
        let method = AsyncMethod(bytes: .test("Detached", onCancel: .detach)) { request, _ in
            started.open()
            await release.wait()
            hasEnded.withLock { $0 = true }
            return request
        }
        let observer = RecordingObserver { _, _ in gone.open() }
        try await withServer([method], observer: observer) { server, address in
            try await withClient(address, { $0.shutdownGrace = .zero }) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                await client.shutdown()
                _ = try await call.value
            }
            await gone.wait()
            server.shutdown()
            try await until { server.waitsForHandlers }
            #expect(!hasEnded.withLock { $0 })
            release.open()
        }
        #expect(hasEnded.withLock { $0 })
    }

    @Test("A cancelled task calls nobody")
    func beforeStart() async throws {
        let observer = RecordingObserver()
        try await withServer([.echo], observer: observer) { _, address in
            try await withClient(address) { client in
                let begin = Latch()
                let call = Task {
                    await begin.wait()
                    return try await client.failure(AsyncMethod.echoDescriptor)
                }
                call.cancel()
                begin.open()
                let ended = try await call.value
                #expect(ended.code == .cancelled)
            }
        }
        #expect(observer.all.started.isEmpty)
    }
}
