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
            certificates with less than 30 days left are renewed. With --rotate the authority and all certificates \
            are replaced while the system runs, in three steps with a pause between them, so that no call fails: \
            services read files that have changed (`tls.reload`). For development: in production \
            certificates come from your own authority.
            """)

    @OptionGroup var state: StateOption

    @Flag(help: "Make authority and certificates anew. The master key is never replaced.")
    var force = false

    @Flag(help: "Replace authority and certificates while the system runs; goes on with a rotation that was interrupted.")
    var rotate = false

    @Option(help: "Seconds between the steps of --rotate: at least twice the services' tls.reload, and a few more.")
    var pause = 15

    func validate() throws {
        if force, rotate { throw ValidationError("Either --force or --rotate.") }
        if pause < 0 { throw ValidationError("--pause is a number of seconds.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            do {
                if rotate { return try await replaceAuthority() }
                for report in try DevelopmentCertificates(directory: state.directory).ensure(force: force) {
                    print(Self.line(report))
                }
            } catch let error as StateFileError {
                throw CommandFailure(error.description)
            }
        }
    }

    private func replaceAuthority() async throws {
        let certificates = DevelopmentCertificates(directory: state.directory)
        if certificates.nextStep != .announce {
            print("Going on with a rotation. Services read its last step within \(pause) s ...")
            try await Task.sleep(for: .seconds(pause))
        }
        while true {
            let step = certificates.nextStep
            let reports = try certificates.rotate()
            print(Self.text(step))
            for report in reports { print("  " + Self.line(report)) }
            print("Services read this within \(pause) s ...")
            try await Task.sleep(for: .seconds(pause))
            if step == .retire { return }
        }
    }

    private static func text(_ step: DevelopmentCertificates.RotationStep) -> String {
        switch step {
        case .announce: "1 of 3: a new authority is believed beside the old one."
        case .issue: "2 of 3: the new authority has issued all certificates."
        case .retire: "3 of 3: the old authority is believed no more."
        }
    }

    private static func line(_ report: DevelopmentCertificates.Report) -> String {
        let expires = report.expires.map { " (until \($0.formatted(.iso8601.year().month().day())))" } ?? ""
        return "\(report.outcome.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0))\(report.file)\(expires)"
    }
}
