import ServiceKit

/// Why the service does not start that no other error says. Each text names the setting and the next step.
package enum StartProblem: Error, Sendable, Hashable {
    case blocklist(path: String, reason: String)
    /// `encryption.keyring.keys` has the key with another usage.
    case pepperIsNoMAC(key: String)
    case fipsMissing(reason: String)
    /// The master key's page.
    case memoryNotLocked
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
                + "(`openssl fipsinstall`; Debian has it since 13, as openssl-provider-fips), or set encryption.fips to `off`."
        case .memoryNotLocked:
            "encryption.keyring.lock_memory is `required`, but \(Self.notLocked), or set it to `preferred`."
        }
    }

    /// For a log line, and for the end of a process that wants the page locked.
    static let notLocked = "the master key's page cannot be locked in memory, so it may get into swap; raise RLIMIT_MEMLOCK "
        + "(`ulimit -l`, `LimitMEMLOCK=` of systemd)"

    package var logLine: String { self == .memoryNotLocked ? Self.notLocked : description }
    package var exitStatus: Int32 { ExitStatus.configuration }
}
