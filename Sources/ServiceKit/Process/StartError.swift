import Glibc
package import RPCCore
import RPCTransport

/// Why a service did not start that no other error says.
package enum StartError: Error, Sendable, Hashable, CustomStringConvertible {
    case foreignCertificate(PeerIdentity, service: String)
    /// They cannot be switched off.
    case coreDumps(String)

    package var description: String {
        switch self {
        case .foreignCertificate(let identity, let service):
            "the certificate is \(identity.service)'s, not \(service)'s; \(service).certificate names the file"
        case .coreDumps(let reason): "core dumps cannot be forbidden: \(reason)"
        }
    }
}

/// An error of start that knows how the process ends for it.
package protocol ExitStatusProviding: Error {
    /// One of `ExitStatus`.
    var exitStatus: Int32 { get }
}

/// How a process ends, as `sysexits.h` numbers it.
package enum ExitStatus {
    package static let success: Int32 = 0
    package static let failure: Int32 = 1
    /// EX_CONFIG: configuration, certificates or keys have to be changed before another start can work.
    package static let configuration: Int32 = 78

    package static func status(for error: any Error) -> Int32 {
        switch error {
        case let known as any ExitStatusProviding: known.exitStatus
        case is ConfigurationError, is ConfigProblem, is TLSConfigurationError, is IdentityKeyError, is StartError:
            configuration
        default: failure
        }
    }
}

/// The last words of a process.
enum LastWords {
    /// Writes the error to standard error, each of its lines behind the process's name, and ends the process.
    static func exit(_ name: String, _ error: any Error) -> Never {
        StandardErrorOutput.shared.flush()
        let lines = "\(error)".split(separator: "\n").map { "\(name): \($0)\n" }.joined()
        _ = Array(lines.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        Glibc.exit(ExitStatus.status(for: error))
    }
}
