/// What is measured under one name. A metric that is not defined here does not exist.
package struct MetricDefinition: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case counter
        case gauge
        /// - Parameter bounds: Upper bounds in seconds, ascending; what is longer counts as infinite.
        case histogram(bounds: [Double])
    }

    /// As Prometheus knows it: `rpc_server_call_duration_seconds`.
    package let name: String
    package let kind: Kind
    /// One sentence.
    package let help: String
    package let labels: [MetricLabel]

    package init(_ name: String, _ kind: Kind, labels: [MetricLabel] = [], help: String) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }
}

/// The labels that there are. The values of each are known when the process starts: so no address, no identifier and no
/// text of a caller can become one, and the number of series is bounded.
package enum MetricLabel: String, Sendable, Hashable, CaseIterable {
    /// A service of the contract, `lockstep.auth.v1.AuthService`.
    case service
    /// A method of that service, `CreateSession`.
    case method
    /// A status code, `DEADLINE_EXCEEDED`.
    case code
    /// The hundred of an HTTP status, `4xx`.
    case statusClass = "status_class"
    /// What waits there, `cpu_pool`.
    case queue
    /// What a database was asked for, `read` or `write`.
    case operation
    /// `ok` or `error`.
    case outcome
}
