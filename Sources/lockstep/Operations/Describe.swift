import ArgumentParser
import ContractClients
import Contracts
import RPCCodeGen
import RPCCore
import SwiftProtobuf

/// `lockstep describe`
struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a running process knows of a service or method.",
        discussion: """
              lockstep describe AuthService
              lockstep describe PasswordService/Hash --target encryption

            Ends with 0, 64 for a name that nobody hosts, 75 when no process answers.
            """)

    @Argument(help: ArgumentHelp("With or without its package.", valueName: "service[/method]"))
    var name: String

    @Option(help: ArgumentHelp("Whom to ask: a service's name, or NAME@host:port. Default: all.", valueName: "target"))
    var target: String?

    @Flag(help: "One JSON object.")
    var json = false

    @OptionGroup var state: StateOption

    func run() async throws {
        try await CommandFailure.reported {
            let settings = try OperatorSettings(environment: state.environment)
            let live = try await LiveContract.ask(try LiveTarget.all(target, settings: settings), settings)
            if live.processes.isEmpty { try live.reportFailures() }
            if name.contains("/") {
                try await describe(try live.method(named: name), settings)
            } else {
                try await describe(live, settings)
            }
        }
    }

    private func describe(_ live: LiveContract, _ settings: OperatorSettings) async throws {
        let hosts = live.service(named: name)
        guard let first = hosts.first else {
            throw live.unknown("service", name, live.processes.flatMap(\.services).map(\.name))
        }
        if json { return print(try JSONText.line(first.service)) }
        let files = try await files(of: first.service, at: first.target, settings)
        let people = hosts.map(\.target.text).joined(separator: ", ")
        DescriptionText.service(first.service, hosts: people, files).forEach { print($0) }
    }

    private func describe(_ found: LiveContract.Method, _ settings: OperatorSettings) async throws {
        if json { return print(try JSONText.line(found.method)) }
        let files = try await files(of: found.service, at: found.target, settings)
        DescriptionText.method(found, files).forEach { print($0) }
    }

    private func files(
        of service: RuntimeHostedService, at target: LiveTarget, _ settings: OperatorSettings
    ) async throws -> DescriptorFiles {
        let answer = try await target.connected(settings, cert: "operator") { pool throws(RPCError) in
            let request = RuntimeGetFilesRequest.with { $0.service = service.name }
            let files: RuntimeGetFilesResponse = try await pool.call(
                ReflectionServiceContract.getFiles, request, .question)
            return files
        }
        switch answer {
        case .success(let files): return DescriptorFiles(files.files)
        case .failure(let error):
            throw CommandFailure("\(target.text): \(error.message)", status: CallReport(error: error).status)
        }
    }
}
