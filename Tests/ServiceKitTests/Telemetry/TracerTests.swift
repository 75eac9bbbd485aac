import Contracts
import Logging
import RPCCore
import ServiceKit
import Synchronization
import Testing
import Tracing

/// Parts of traces as they are kept: whose they are, and what they say.
@Suite struct TracerTests {
    static let outside = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let method = AuthServiceContract.createSession

    /// What a tracer kept of `body`.
    private func kept(_ body: (CallTracer) async throws -> Void) async throws -> [FinishedSpan] {
        let spans = Mutex<[FinishedSpan]>([])
        try await body(CallTracer(LoggedTracer { span in spans.withLock { $0.append(span) } }))
        return spans.withLock { $0 }
    }

    @Test func aCallIsAChildOfItsCaller() async throws {
        let remote = try #require(TraceContext(parent: Self.outside.utf8, state: "rojo=1"))
        let spans = try await kept { tracer in
            let server = try #require(tracer.begin(method, remote: remote))
            let trace = try #require(server.trace)
            #expect(trace.traceID == remote.traceID && trace.state == "rojo=1")
            let client = tracer.begin("downstream", .client, parent: trace)
            client.end(.unavailable)
            server.end(.ok)
            server.end(.ok)
        }
        #expect(spans.map(\.name) == ["downstream", method.fullName])
        #expect(spans.map(\.code) == ["UNAVAILABLE", "OK"])
        #expect(spans.map(\.isError) == [true, false])
        #expect(spans.map(\.parent) == [spans[1].trace.spanID, remote.spanID])
        #expect(Set(spans.map(\.trace.traceID)) == [remote.traceID])
    }

    @Test func withoutACallerATraceBegins() async throws {
        let spans = try await kept { $0.begin(method, remote: nil)?.end(.ok) }
        #expect(spans.count == 1 && spans.first?.parent == nil && spans.first?.trace.isSampled == true)
    }

    @Test func whatOthersDoNotKeepIsNotKeptHere() async throws {
        let remote = try #require(TraceContext(parent: (Self.outside.dropLast() + "0").utf8))
        let spans = try await kept { tracer in
            let span = tracer.begin(method, remote: remote)
            #expect(span?.trace?.traceID == remote.traceID)
            #expect(span?.trace?.isSampled == false)
            span?.end(.ok)
        }
        #expect(spans.isEmpty)
    }

    @Test func whatAHandlerStartsFindsItsPlace() async throws {
        let spans = Mutex<[FinishedSpan]>([])
        let logged = LoggedTracer { span in spans.withLock { $0.append(span) } }
        let call = CallTracer(logged).begin(method, remote: nil)
        _ = try await call?.run {
            await Task.yield()
            logged.startSpan("inner", context: .current ?? .topLevel).end()
            return []
        }
        let inner = try #require(spans.withLock { $0.first })
        #expect(inner.parent == call?.trace?.spanID)
        #expect(inner.trace.traceID == call?.trace?.traceID)
    }
}
