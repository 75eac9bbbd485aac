import ServiceKit

/// Why the service does not start that no other error says. Each text names the setting and the next step.
package enum StartProblem: Error, Sendable, Hashable {
    case blocklist(path: String, reason: String)
    /// `encryption.keyring.keys` has the key with another usage.
    case pepperIsNoMAC(key: String)
    case fipsMissing(reason: String)
}

extension StartProblem: CustomStringConvertible, LoggableError, ExitStatusProviding {
    package var description: String {
        switch self {
        case .blocklist(let path, let reason):
            "Cannot read the list of refused passwords \(path): \(reason). Correct encryption.password.blocklist_file."
        case .pepperIsNoMAC(let key):
            "encryption.password.pepper_key and former_pepper_keys name keys of usage MAC, but encryption.keyring.keys has "
                + "\(key) with another usage. Name another key."
        case .fipsMissing(let reason):
            "encryption.fips is `required`, but \(reason). Install OpenSSL's FIPS provider and its configuration "
                + "(`openssl fipsinstall`; Debian's build has none), or set encryption.fips to `off`."
        }
    }

    package var logLine: String { description }
    package var exitStatus: Int32 { ExitStatus.configuration }
}
