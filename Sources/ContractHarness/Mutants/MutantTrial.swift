import Foundation

/// One mutant and the cases that must find it.
package struct MutantTrial: Sendable {
    package let mutant: Mutant
    let role: ContractRole
    let about: String
    /// The rule of WIRE.md that it breaks; at least one of the cases that find it must name it.
    let rule: String
    /// Names of cases, with `*`.
    let cases: [String]

    /// What came of one.
    package struct Result: Sendable {
        package let mutant: Mutant
        let about: String
        let rule: String
        /// The cases that failed with the fault.
        let found: [ContractCase]
        /// What is wrong with the trial itself: its cases fail without the fault too, or there are none.
        let problem: String?

        package var isCaught: Bool { problem == nil && found.contains { $0.rules.contains(rule) } }

        /// `server-drops-pong: PING is not answered: caught by ping/echo (W-90)`
        package var line: String { "\(mutant.rawValue): \(about): \(verdict)" }

        private var verdict: String {
            if let problem { return problem }
            guard !found.isEmpty else { return "NOT CAUGHT" }
            let names = found.map(\.name).joined(separator: ", ")
            return isCaught ? "caught by \(names) (\(rule))" : "FOUND by \(names), NONE OF WHICH NAMES \(rule)"
        }
    }

    /// - Throws: `CaseError` for a file that is not right.
    package static func load(folder: String) throws(CaseError) -> [MutantTrial] {
        let path = "\(folder)/mutants.json"
        guard let data = FileManager.default.contents(atPath: path) else { throw CaseError("\(path) cannot be read") }
        guard let list = try JSONValue(json: data).object?["mutants"]?.array else {
            throw CaseError("\(path) has no list of mutants")
        }
        var trials: [MutantTrial] = []
        for value in list { trials.append(try MutantTrial(value)) }
        return trials
    }

    private init(_ value: JSONValue) throws(CaseError) {
        var fields = try JSONFields(value, in: "mutants.json")
        let name = try fields.string("name") ?? ""
        guard let mutant = Mutant(rawValue: name), let role = mutant.role else {
            throw CaseError("mutants.json: there is no mutant \"\(name)\"")
        }
        (self.mutant, self.role) = (mutant, role)
        about = try fields.string("about") ?? ""
        rule = try fields.string("rule") ?? ""
        cases = try fields.strings("cases")
        try fields.finish()
    }

    /// Trials at the same time. Most of a trial is waiting for what the fault keeps from coming.
    private static let jobs = 6

    /// How cases are run without a fault: as with it, so behind a filter where the fault is in one.
    private struct Control: Hashable {
        let role: ContractRole
        let isFiltered: Bool
    }

    private var control: Control { Control(role: role, isFiltered: !mutant.isOfState) }

    /// Runs the cases without a fault, once for each role and sort of fault, and then the trials.
    ///
    /// - Parameter report: Told of each mutant as its trial ends.
    package static func run(
        _ trials: [MutantTrial], library: CaseLibrary, peer: String, _ report: (Result) -> Void
    ) async throws -> [Result] {
        // How each case fails without a fault; empty: it does not.
        var healthy: [Control: [String: String]] = [:]
        for (control, trials) in Dictionary(grouping: trials, by: \.control) {
            let outcomes = try await outcomes(
                control.isFiltered ? Mutant.none : nil, control.role, trials.flatMap(\.cases), library, peer,
                patience: ContractPlan().patience)
            let verdicts = outcomes.map { ($0.name, $0.isBad ? $0.verdict.detail : "") }
            healthy[control] = Dictionary(verdicts, uniquingKeysWith: max)
        }
        return try await withThrowingTaskGroup(of: Result.self) { [healthy] group in
            var rest = trials[...]
            func add() {
                guard let trial = rest.popFirst() else { return }
                group.addTask { try await trial.run(library, peer, healthy[trial.control] ?? [:]) }
            }
            for _ in 0..<jobs { add() }
            var results: [Result] = []
            while let result = try await group.next() {
                report(result)
                results.append(result)
                add()
            }
            return results
        }
    }

    private func run(_ library: CaseLibrary, _ peer: String, _ healthy: [String: String]) async throws -> Result {
        // What fails here fails by waiting in vain, so the wait is short; a case that is too slow has failed above.
        let outcomes = try await Self.outcomes(mutant, role, cases, library, peer, patience: 1)
        let sick = Set(outcomes.map(\.name)).sorted().compactMap { name -> String? in
            guard let failure = healthy[name] else { return "\(name) was not tried" }
            return failure.isEmpty ? nil : "\(name): \(failure)"
        }
        let problem =
            outcomes.isEmpty
            ? "NO SUCH CASES: \(cases.joined(separator: ", "))"
            : sick.isEmpty ? nil : "FAILS WITHOUT THE FAULT: \(sick.joined(separator: ", "))"
        let found = outcomes.filter(\.isBad).map(\.testCase)
        return Result(mutant: mutant, about: about, rule: rule, found: found, problem: problem)
    }

    private static func outcomes(
        _ mutant: Mutant?, _ role: ContractRole, _ patterns: [String], _ library: CaseLibrary, _ peer: String,
        patience: Int
    ) async throws -> [CaseOutcome] {
        var plan = ContractPlan()
        let command = mutant.map { "\(peer) --mutant \($0.rawValue)" } ?? peer
        if role == .server { plan.server = command } else { plan.client = command }
        plan.patterns = patterns
        plan.patience = patience
        return try await ContractRun(library: library, plan: plan).run()
    }
}
