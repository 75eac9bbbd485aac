import ArgumentParser
import DevelopmentCA
import Foundation

/// `lockstep certs`
struct Certs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make development certificates and the master key.",
        discussion: """
            Makes a certificate authority, a certificate for each service and for the operator, the gateway's \
            signing key and the master key, all in the state directory. What is there and still good is kept; \
            certificates with less than 30 days left are renewed. For development: in production \
            certificates come from your own authority.
            """)

    @OptionGroup var state: StateOption

    @Flag(help: "Make authority and certificates anew. The master key is never replaced.")
    var force = false

    func run() async throws {
        try await CommandFailure.reported {
            do {
                for report in try DevelopmentCertificates(directory: state.directory).ensure(force: force) {
                    print(Self.line(report))
                }
            } catch let error as StateFileError {
                throw CommandFailure(error.description)
            }
        }
    }

    private static func line(_ report: DevelopmentCertificates.Report) -> String {
        let expires = report.expires.map { " (until \($0.formatted(.iso8601.year().month().day())))" } ?? ""
        return "\(report.outcome.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0))\(report.file)\(expires)"
    }
}
