import ArgumentParser
import Foundation
import ServiceKit
import Supervision

/// `lockstep up`
struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start the five services and keep them running.",
        discussion: """
            Their logs are shown together, each line behind its service's name. A service that ends is started again \
            after a pause that grows. Ctrl-C or SIGTERM lets all finish what they have begun and stops them; a second \
            one stops them at once. Process ids are in run/NAME.pid in the state directory.
            """)

    @OptionGroup var state: StateOption

    @Option(help: ArgumentHelp("Where the services' programs are. Default: beside this one.", valueName: "dir"))
    var bin: String?

    func run() async throws {
        try await CommandFailure.reported {
            let lock = try StateLock(directory: state.directory)
            defer { withExtendedLifetime(lock) {} }
            let settings = try OperatorSettings(environment: state.environment)
            let readiness = Readiness(settings: settings, identity: try settings.identity("operator"))
            let children = try Executables(bin).children(state.environment)
            try await settings.listenPlaces.requireFree()
            let console = Console(names: children.map(\.name), environment: state.environment)
            let announcer = Announcer(console, readiness)
            let supervisor = ProcessSupervisor(
                children, stopGrace: try settings.stopLimit, runDirectory: "\(state.directory)/run",
                output: { console.line($0, $1) },
                report: { report in
                    console.say(report.text)
                    switch report {
                    case .restarting(let name, _, _): announcer.restarts(name)
                    // It ends the others, too.
                    case .gaveUp: announcer.stop()
                    case .stopped, .overran: break
                    }
                })
            let status = await Self.run(supervisor, console, announcer)
            guard status == 0 else { throw ExitCode(status) }
        }
    }

    private static func run(
        _ supervisor: ProcessSupervisor, _ console: Console, _ announcer: Announcer
    ) async -> Int32 {
        let announcement = Task { await announcer.start() }
        let signals = Signals {
            if announcer.stop() { console.say("stopping: each ends what it has begun; a second Ctrl-C stops all at once") }
            announcement.cancel()
            supervisor.stop()
        }
        let status = await supervisor.run()
        announcer.stop()
        announcement.cancel()
        withExtendedLifetime(signals) {}
        console.say(status == 0 ? "stopped" : "stopped with status \(status)")
        return status
    }
}

extension Supervisor.Report {
    /// As the console shows it.
    fileprivate var text: String {
        switch self {
        case .restarting(let name, let termination, let delay):
            "\(name) \(termination); starting it again in \(delay.configText)"
        case .gaveUp(let name, let termination):
            "\(name) \(termination): it cannot start as things are; its last line says what to change"
        case .stopped(let name, let termination): "\(name) \(termination)"
        case .overran(let name): "\(name) did not end in time and is killed"
        }
    }
}
