import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import Testing

/// A trace on its way through calls.
@Suite(.timeLimit(.minutes(1))) struct TraceTests {
    static let outside = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func aTraceGoesOnAsItCameWhereNobodyFollowsIt() async throws {
        let trace = try #require(TraceContext(parent: Self.outside.utf8, state: "rojo=00f067aa0ba902b7"))
        let seen = Mutex<[TraceContext?]>([])
        let method = MethodDescriptor.test("Traced", callers: ["gateway", "auth"])
        let handler = AsyncMethod(bytes: method) { request, context in
            seen.withLock { $0 += [context.trace, context.outgoing().trace] }
            return request
        }
        try await withServer([handler]) { _, address in
            try await withClient(address) { pool in
                _ = try await pool.call(method) { $0.trace = trace }
                _ = try await pool.call(method)
            }
        }
        #expect(seen.withLock { $0 } == [trace, trace, nil, nil])
    }

    @Test func aHandlersCallsCarryItsOwnPlace() async throws {
        let trace = try #require(TraceContext(parent: Self.outside.utf8))
        let tracing = FixedTracing()
        let method = MethodDescriptor.test("Traced", callers: ["gateway", "auth"])
        let inside = Mutex<(TraceContext?, Bool)>((nil, false))
        let handler = AsyncMethod(bytes: method) { request, context in
            inside.withLock { $0 = (context.outgoing().trace, FixedSpan.isInside) }
            throw RPCError(.notFound, "nothing here")
        }
        try await withServer([handler], observer: tracing) { _, address in
            try await withClient(address) { pool in
                _ = try await pool.failure(method) { $0.trace = trace }
            }
        }
        let (carried, wasInside) = inside.withLock { $0 }
        #expect(carried == FixedSpan.place)
        #expect(wasInside)
        #expect(tracing.remotes.withLock { $0 } == [trace])
        #expect(tracing.ends.withLock { $0 } == [.notFound])
    }
}

/// Puts every call at one place, and ends what it began.
private final class FixedTracing: ServerObserver, CallTracing {
    let remotes = Mutex<[TraceContext?]>([])
    let ends = Mutex<[StatusCode]>([])

    var tracing: (any CallTracing)? { self }

    func begin(_ method: MethodDescriptor, remote: TraceContext?) -> (any CallSpan)? {
        remotes.withLock { $0.append(remote) }
        return FixedSpan { code in self.ends.withLock { $0.append(code) } }
    }

    func callEnded(_ record: CallRecord) { record.context.span?.end(record.code) }
}

private final class FixedSpan: CallSpan {
    @TaskLocal static var isInside = false
    static let place = TraceContext(traceID: TraceID(high: 1, low: 2), spanID: 3, isSampled: true)

    private let ended: @Sendable (StatusCode) -> Void

    init(ended: @escaping @Sendable (StatusCode) -> Void) { self.ended = ended }

    var trace: TraceContext? { Self.place }

    nonisolated(nonsending) func run(
        _ handler: nonisolated(nonsending) () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        try await Self.$isInside.withValue(true) { try await handler() }
    }

    func end(_ code: StatusCode) { ended(code) }
}
