package import RPCCore

/// Something that was waited for did not come in time.
package struct TimeoutError: LoggableError, Hashable {
    /// What was waited for, as a noun: `reading the provider's answer`.
    package let operation: String
    package let limit: Duration

    package init(operation: String, after limit: Duration) {
        self.operation = operation
        self.limit = limit
    }

    package var logLine: String { "timeout: \(operation) took longer than \(limit.configText)" }
}

extension TimeoutError: RPCErrorConvertible {
    package var rpcError: RPCError {
        RPCError(
            .deadlineExceeded, "This took too long (\(operation)); try again, it may work when there is less to do.",
            reason: "timeout")
    }
}
