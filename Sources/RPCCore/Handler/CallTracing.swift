/// Follows calls through a process. A server without one pays nothing: each call's trace is then passed on as it came.
package protocol CallTracing: Sendable {
    /// A call was let in and is about to run.
    ///
    /// - Parameter remote: The caller's place in its trace; nil when the call brought none.
    /// - Returns: Nil for a call whose part is not kept.
    func begin(_ method: MethodDescriptor, remote: TraceContext?) -> (any CallSpan)?
}

/// A call's part of its trace, from the start of its handler to its end.
package protocol CallSpan: AnyObject, Sendable {
    /// What the handler's own calls carry.
    var trace: TraceContext? { get }
    /// Runs an ASYNC handler so that what it uses finds its place in the trace.
    func run(_ handler: () async throws -> [UInt8]) async throws -> [UInt8]
    /// Once, when the call has ended.
    func end(_ code: StatusCode)
}
