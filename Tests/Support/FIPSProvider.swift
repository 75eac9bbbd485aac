import Foundation

/// OpenSSL's FIPS provider, which `make build` gets with `fips/provider.sh` where Debian's packages can be reached.
package enum FIPSProvider {
    private static let directory = SupportFiles.path("../../.build-fips")

    /// Whether it is there.
    package static let isThere = FileManager.default.fileExists(atPath: "\(directory)/\(Configuration.only.rawValue)")

    /// OpenSSL's own configuration, as `provider.sh` writes it.
    package enum Configuration: String, Sendable {
        /// As services/encryption/README.md tells operators to.
        case asInReadme = "readme.cnf"
        /// The library's own provider works too: a process that wants the other alone has to ask.
        case besideTheDefault = "beside.cnf"
        /// Nothing else is to be had, for programs that do not ask.
        case only = "only.cnf"
    }

    /// What shows it to a process, in that process's environment.
    package static func settings(_ configuration: Configuration) -> [String: String] {
        ["OPENSSL_CONF": "\(directory)/\(configuration.rawValue)", "OPENSSL_MODULES": directory]
    }

    /// The provider that this very process is to work with: `make fips` runs tests with `fips`.
    package static let ofThisProcess = ProcessInfo.processInfo.environment["LOCKSTEP_TEST_CRYPTO_PROVIDER"] ?? "default"
}
