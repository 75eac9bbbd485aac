import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// Errors of sockets and TLS in words for people.
package enum TransportFailure {
    /// One line without a full stop: `connection refused`.
    package static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError: connection(error)
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case let error as HandshakeError: error.description
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: "TLS: \(error)"
        case ChannelError.connectTimeout(let limit): "no answer within \(limit.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }

    private static func connection(_ error: NIOConnectionError) -> String {
        if let cause = error.connectionErrors.last { return text(cause.error) }
        return "the name \(error.host) does not resolve"
    }
}
