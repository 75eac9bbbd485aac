import Foundation

/// One mutant and the cases that must find it.
package struct MutantTrial: Sendable {
    package let mutant: Mutant
    let role: ContractRole
    let about: String
    /// Names of cases, with `*`.
    let cases: [String]

    /// What came of one.
    package struct Result: Sendable {
        package let mutant: Mutant
        let about: String
        /// The cases that failed with the fault.
        let found: [String]
        /// What is wrong with the trial itself: its cases fail without the fault too, or there are none.
        let problem: String?

        package var isCaught: Bool { problem == nil && !found.isEmpty }

        package var line: String {
            let verdict = problem ?? (found.isEmpty ? "NOT CAUGHT" : "caught by \(found.joined(separator: ", "))")
            return "\(mutant.rawValue): \(about): \(verdict)"
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
        cases = try fields.strings("cases")
        try fields.finish()
    }

    /// Runs the trials one after the other; the cases without a fault first, once for each role.
    package static func run(
        _ trials: [MutantTrial], library: CaseLibrary, peer: String, _ report: (Result) -> Void
    ) async throws -> [Result] {
        var healthy: [ContractRole: Set<String>] = [:]
        for role in ContractRole.allCases {
            let patterns = trials.filter { $0.role == role }.flatMap(\.cases)
            guard !patterns.isEmpty else { continue }
            let outcomes = try await outcomes(.none, role, patterns, library, peer)
            healthy[role] = Set(outcomes.filter { $0.verdict == .passed }.map(\.name))
        }
        var results: [Result] = []
        for trial in trials {
            let result = try await trial.run(library, peer, healthy[trial.role] ?? [])
            report(result)
            results.append(result)
        }
        return results
    }

    private func run(_ library: CaseLibrary, _ peer: String, _ healthy: Set<String>) async throws -> Result {
        let outcomes = try await Self.outcomes(mutant, role, cases, library, peer)
        let sick = outcomes.map(\.name).filter { !healthy.contains($0) }
        let problem =
            outcomes.isEmpty
            ? "NO SUCH CASES: \(cases.joined(separator: ", "))"
            : sick.isEmpty ? nil : "FAILS WITHOUT THE FAULT: \(sick.joined(separator: ", "))"
        return Result(mutant: mutant, about: about, found: outcomes.filter(\.isBad).map(\.name), problem: problem)
    }

    private static func outcomes(
        _ mutant: Mutant, _ role: ContractRole, _ patterns: [String], _ library: CaseLibrary, _ peer: String
    ) async throws -> [CaseOutcome] {
        var plan = ContractPlan()
        let command = "\(peer) --mutant \(mutant.rawValue)"
        if role == .server { plan.server = command } else { plan.client = command }
        plan.patterns = patterns
        return try await ContractRun(library: library, plan: plan).run()
    }
}
