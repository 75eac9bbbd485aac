import ContractClients
import Contracts
import RPCCore
import ServiceKit

/// What running processes say that they host.
struct LiveContract: Sendable {
    struct Process: Sendable {
        let target: LiveTarget
        let services: [RuntimeHostedService]
    }

    /// One method, and one of the processes that host it.
    struct Method: Sendable {
        let target: LiveTarget
        let service: RuntimeHostedService
        let method: RuntimeHostedMethod

        var fullName: String { "\(service.name)/\(method.name)" }
    }

    private typealias Answer = Result<RuntimeListServicesResponse, RPCError>

    let processes: [Process]
    /// Those that did not answer.
    let failures: [(target: LiveTarget, error: RPCError)]

    /// Asks all targets at once, as the operator.
    static func ask(_ targets: [LiveTarget], _ settings: OperatorSettings) async throws -> LiveContract {
        let answers = try await withThrowingTaskGroup(of: (Int, Answer).self) { group -> [Int: Answer] in
            for (index, target) in targets.enumerated() {
                group.addTask { (index, try await services(of: target, settings)) }
            }
            var answers: [Int: Answer] = [:]
            for try await (index, answer) in group { answers[index] = answer }
            return answers
        }
        var processes: [Process] = []
        var failures: [(LiveTarget, RPCError)] = []
        for (index, target) in targets.enumerated() {
            switch answers[index] {
            case .success(let answer): processes.append(Process(target: target, services: answer.services))
            case .failure(let error): failures.append((target, error))
            case nil: break
            }
        }
        return LiveContract(processes: processes, failures: failures)
    }

    private static func services(
        of target: LiveTarget, _ settings: OperatorSettings
    ) async throws -> Answer {
        try await target.connected(settings, cert: "operator") { pool throws(RPCError) in
            try await pool.call(
                ReflectionServiceContract.listServices, RuntimeListServicesRequest(), .question)
        }
    }

    /// Says on standard error who did not answer.
    ///
    /// - Throws: The end of the command when nobody did.
    func reportFailures() throws {
        for (target, error) in failures {
            StandardError.print("lockstep: \(target.text) does not answer: \(error.message)")
        }
        guard processes.isEmpty else { return }
        throw CommandFailure(
            "No process answers. `lockstep up` starts them; `lockstep list --offline` shows the contract that this "
                + "program was built with.", status: failures.first.map { CallReport(error: $0.error).status } ?? 75)
    }

    // MARK: Names

    private var methods: [Method] {
        processes.flatMap { process in
            process.services.flatMap { service in
                service.methods.map { Method(target: process.target, service: service, method: $0) }
            }
        }
    }

    /// Hosts of the service of that name, with or without its package; empty when there is none.
    func service(named name: String) -> [(target: LiveTarget, service: RuntimeHostedService)] {
        let all = processes.flatMap { process in process.services.map { (process.target, $0) } }
        let exact = all.filter { $0.1.name == name }
        return exact.isEmpty ? all.filter { $0.1.name.hasSuffix(".\(name)") } : exact
    }

    /// The method of that name, with or without its package.
    ///
    /// - Throws: `CommandFailure` that says what may have been meant.
    func method(named name: String) throws -> Method {
        let all = methods
        let exact = all.filter { $0.fullName == name }
        if let found = (exact.isEmpty ? all.filter { $0.fullName.hasSuffix(".\(name)") } : exact).first { return found }
        throw unknown("method", name, all.map(\.fullName))
    }

    func unknown(_ what: String, _ name: String, _ known: [String]) -> CommandFailure {
        if let failure = failures.first {
            let silent = failures.map { "\($0.target.text) does not answer: \($0.error.message)" }
            return CommandFailure(
                "No \(what) of those that answer is called \(name). \(silent.joined(separator: " "))",
                status: CallReport(error: failure.error).status)
        }
        let short = known.map { $0.split(separator: ".").last.map(String.init) ?? $0 }
        let meant = EditDistance.closest(to: name, of: short + known).map { " Did you mean \($0)?" } ?? ""
        let who = processes.map(\.target.process.rawValue).joined(separator: ", ")
        return CommandFailure("No \(what) of \(who) is called \(name).\(meant) `lockstep list` shows them all.", status: 64)
    }
}
