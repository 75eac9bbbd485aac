internal import ServiceKit

/// Where mail leaves this service. SMTP and SES come behind the same protocol.
package protocol MailSink: Sendable {
    /// For logs: `file`.
    var name: String { get }

    /// Hands the message on. It may be called again with the same id when a worker died in between; a sink makes that
    /// as harmless as it can.
    ///
    /// - Parameters:
    ///   - id: The message's id, letters, digits, `-` and `_` only.
    ///   - message: RFC 5322, ASCII, CRLF.
    /// - Throws: `SinkError`.
    func deliver(id: String, message: [UInt8]) async throws(SinkError)
}

/// Reasons are the system's or the sink's own words about itself; they never hold a part of the message.
package enum SinkError: Error, Equatable {
    /// May work later: a full disk, a server that is down.
    case unavailable(String)
    /// Will never work for this message.
    case refused(String)
}

extension SinkError: LoggableError {
    package var logLine: String {
        switch self {
        case .unavailable(let reason): "unavailable: \(reason)"
        case .refused(let reason): "refused: \(reason)"
        }
    }
}
