import ArgumentParser
import Contracts
import RPCCore
import ServiceKit

/// `lockstep list`
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the services and methods of running processes.",
        discussion: """
            Asks them, as the operator, what they host: each method with its kind, who may call it and its route. \
            --offline lists the contract that this program was built with.

            Ends with 0, or with 75 when a process does not answer.
            """)

    @Option(help: ArgumentHelp("Whom to ask: a service's name, or NAME@host:port. Default: all.", valueName: "target"))
    var target: String?

    @Flag(help: "The contract that this program was built with; no process is asked.")
    var offline = false

    @Flag(help: "One JSON object for each process, a line each; one of all with --offline.")
    var json = false

    @OptionGroup var state: StateOption

    func run() async throws {
        try await CommandFailure.reported {
            if offline { return try printContract() }
            let settings = try OperatorSettings(environment: state.environment)
            let live = try await LiveContract.ask(try LiveTarget.all(target, settings: settings), settings)
            for process in live.processes { try show(process) }
            try live.reportFailures()
            if !live.failures.isEmpty { throw ExitCode(75) }
        }
    }

    private func show(_ process: LiveContract.Process) throws {
        if json { return print(try JSONText.line(RuntimeListServicesResponse.with {
            $0.process = process.target.process.rawValue
            $0.services = process.services
        })) }
        print(process.target.text)
        for service in process.services {
            print("  \(service.name)  \(service.execution)")
            Table.lines(service.methods.map(Self.row), indent: 4).forEach { print($0) }
        }
    }

    private static func row(_ method: RuntimeHostedMethod) -> [String] {
        [method.name, method.kind, method.callers.isEmpty ? "nobody" : method.callers.joined(separator: ", "), method.route]
    }

    private func printContract() throws {
        if json { return print(try JSONText.line(RuntimeListServicesResponse.hosted(Contract.services))) }
        let rows = Contract.codings.map(\.descriptor).map { method in
            [
                method.fullName, method.execution == .sync ? "SYNC" : "ASYNC",
                method.callers.isEmpty ? "nobody" : method.callers.joined(separator: ", "),
            ]
        }
        Table.lines(rows).forEach { print($0) }
    }
}
