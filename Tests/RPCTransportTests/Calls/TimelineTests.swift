import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

/// Every outcome says where the call's time went.
@Suite(.timeLimit(.minutes(1)))
struct TimelineTests {
    /// What the work of a call takes at least: a lower bound, so that no test depends on how busy the machine is.
    static let work = Duration.milliseconds(2)

    static func busy() {
        let end = ContinuousClock.now.advanced(by: work)
        while ContinuousClock.now < end {}
    }

    /// The timeline that `onEnd` was told, once.
    final class Told: Sendable {
        private let told = Mutex<[CallTimeline]>([])
        func add(_ timeline: CallTimeline) { told.withLock { $0.append(timeline) } }
        var all: [CallTimeline] { told.withLock { $0 } }
    }

    func check(_ timeline: CallTimeline) throws {
        let (sent, queued, ran) = (try #require(timeline.sent), try #require(timeline.queued), try #require(timeline.ran))
        #expect(ran >= Self.work)
        #expect(sent >= queued + ran, "what the server counts lies within what the caller waited")
        #expect(timeline.waitedForConnection != nil)
    }

    @Test("An answer and an error alike", arguments: [false, true])
    func outcome(fails: Bool) async throws {
        let method = AsyncMethod(bytes: .test("Work")) { request, _ in
            Self.busy()
            if fails { throw RPCError(.aborted, "as asked") }
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let told = Told()
                var options = CallOptions()
                options.onEnd = told.add
                do throws(RPCError) {
                    _ = try await client.call(method.descriptor, request: [], options: options)
                    #expect(!fails)
                } catch {
                    #expect(error.code == .aborted)
                    try check(error.timeline)
                }
                #expect(told.all.count == 1)
                try check(try #require(told.all.first))
            }
        }
    }

    @Test("A call that waited for a worker says how long")
    func queued() async throws {
        let (gate, started) = (ThreadGate(), Latch())
        let method = SyncMethod(bytes: .test("Hash", execution: .sync, cost: .pool)) { request, _ in
            if request == [0] {
                started.open()
                gate.wait()
            }
            throw RPCError(.aborted, "as asked")
        }
        var options = ServerOptions()
        options.poolWorkers = 1
        try await withSyncServer([method], options: options) { server, address in
            try await withClient(address, of: "encryption") { client in
                let first = Task { try await client.failure(method.descriptor, [0]) }
                await started.wait()
                let second = Task { try await client.failure(method.descriptor, [1]) }
                try await until { server.openCalls == 2 }
                Self.busy()
                gate.open()
                _ = try await first.value
                #expect(try #require(try await second.value.timeline.queued) >= Self.work)
            }
        }
    }

    @Test("A call that never left says that it did not, and what it waited for")
    func neverSent() async throws {
        let address = try await withServer([.echo]) { _, address in address }
        try await withClient(address) { client in
            let told = Told()
            let error = try await client.failure(AsyncMethod.echoDescriptor) {
                $0.waitForReady = false
                $0.onEnd = told.add
            }
            #expect(error.code == .unavailable && error.processed == .no)
            #expect(error.timeline.sent == nil && error.timeline.ran == nil)
            #expect(error.timeline.waitedForConnection != nil && error.timeline.waitedFor != nil)
            #expect(told.all.count == 1 && told.all.first?.sent == nil)
        }
    }

    @Test("A call that its caller gave up says how long it was out")
    func cancelled() async throws {
        let (started, cancelled) = (Latch(), Latch())
        let method = AsyncMethod(bytes: .test("Wait")) { request, _ in
            started.open()
            try await untilCancelled(cancelled)
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let call = Task { try await client.failure(method.descriptor) }
                await started.wait()
                call.cancel()
                let error = try await call.value
                #expect(error.code == .cancelled && error.timeline.sent != nil && error.timeline.ran == nil)
                await cancelled.wait()
            }
        }
    }
}
