import Foundation

/// OpenSSL's FIPS provider, which `make build` gets with `fips/provider.sh` where Debian's packages can be reached.
package enum FIPSProvider {
    private static let directory = SupportFiles.path("../../.build-fips")

    /// Whether it is there.
    package static let isThere = FileManager.default.fileExists(atPath: "\(directory)/service.cnf")

    /// What shows it to a process, in that process's environment.
    package static let settings = ["OPENSSL_CONF": "\(directory)/service.cnf", "OPENSSL_MODULES": directory]

    /// The provider that this very process is to work with: `make fips` runs tests with `fips`.
    package static let ofThisProcess = ProcessInfo.processInfo.environment["LOCKSTEP_TEST_CRYPTO_PROVIDER"] ?? "default"
}
