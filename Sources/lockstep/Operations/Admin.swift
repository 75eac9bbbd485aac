import ArgumentParser
import Contracts
import RPCClient
import RPCCore
import ServiceKit
import SwiftProtobuf

/// `lockstep admin`
struct Admin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a running process is doing.",
        discussion: """
              lockstep admin --target auth                 # limits, queues, event loops, load of methods
              lockstep admin connections --target auth     # peer, age, calls
              lockstep admin calls --target encryption     # method, age, lane, state

            Reads alone, and as the operator alone. Ends with 0, or with 75 when a process does not answer.
            """)

    enum Question: String, ExpressibleByArgument, CaseIterable {
        case process
        case connections
        case calls
    }

    @Argument(help: ArgumentHelp("process, connections or calls.", valueName: "what"))
    var question = Question.process

    @Option(help: ArgumentHelp("Whom to ask: a service's name, or NAME@host:port. Default: all.", valueName: "target"))
    var target: String?

    @Option(help: "As whom: a certificate in the state directory.")
    var cert = "operator"

    @Flag(help: "The answer as JSON, one line for each process.")
    var json = false

    @OptionGroup var state: StateOption

    func run() async throws {
        try await CommandFailure.reported {
            let settings = try OperatorSettings(environment: state.environment)
            var statuses: [Int32] = []
            for target in try LiveTarget.all(target, settings: settings) {
                let answer = try await target.connected(settings, cert: cert) { (pool) throws(RPCError) in
                    try await ask(pool, of: target.process)
                }
                switch answer {
                case .success(let lines): lines.forEach { print($0) }
                case .failure(let error):
                    StandardError.print("lockstep: \(target.text) does not answer: \(explained(error))")
                    statuses.append(CallReport(error: error).status)
                }
            }
            if let status = statuses.first { throw ExitCode(status) }
        }
    }

    private func explained(_ error: RPCError) -> String {
        error.reason == "caller_not_allowed" ? "\(cert) may not ask; the operator's certificate may." : error.message
    }

    private func ask(_ pool: ClientPool, of process: ServiceName) async throws(RPCError) -> [String] {
        switch question {
        case .process:
            let answer: RuntimeGetProcessResponse = try await pool.call(
                AdminServiceContract.getProcess, RuntimeGetProcessRequest(), .question)
            return text(answer, AdminText.process(answer, at: pool.target), of: process)
        case .connections:
            let answer: RuntimeListConnectionsResponse = try await pool.call(
                AdminServiceContract.listConnections, RuntimeListConnectionsRequest(), .question)
            return text(answer, AdminText.connections(answer, at: pool.target), of: process)
        case .calls:
            let answer: RuntimeListCallsResponse = try await pool.call(
                AdminServiceContract.listCalls, RuntimeListCallsRequest(), .question)
            return text(answer, AdminText.calls(answer, at: pool.target), of: process)
        }
    }

    private func text(_ answer: some Message, _ lines: [String], of process: ServiceName) -> [String] {
        guard json else { return lines }
        // Each line says whose it is, as the answer about a process does by itself.
        return [JSONText.line(answer, with: ("process", process.rawValue))]
    }
}
