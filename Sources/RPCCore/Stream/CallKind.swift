/// Who sends how many messages in a call.
package enum CallKind: Sendable, Hashable {
    /// One request, one response.
    case unary
    /// Any number of requests, one response.
    case clientStreaming
    /// One request, any number of responses.
    case serverStreaming
    /// Any number of both, independent of each other.
    case bidirectional

    package var clientStreams: Bool { self == .clientStreaming || self == .bidirectional }
    package var serverStreams: Bool { self == .serverStreaming || self == .bidirectional }
    package var streams: Bool { self != .unary }

    /// `server-streaming`
    package var text: String {
        switch self {
        case .unary: "unary"
        case .clientStreaming: "client-streaming"
        case .serverStreaming: "server-streaming"
        case .bidirectional: "bidirectional"
        }
    }
}
