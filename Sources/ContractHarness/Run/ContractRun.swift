import Foundation

/// What is to be tested, and how.
package struct ContractPlan: Sendable {
    /// The server under test, as a shell takes it; nil: none.
    package var server: String?
    package var client: String?
    /// Names of cases to run, with `*` for anything; empty: all.
    package var patterns: [String] = []
    package var seed: UInt64 = 1
    /// Cases at the same time.
    package var jobs = 8
    /// Times as long as a case says does it wait for something to come. Only what fails gets slower by it; a busy machine
    /// needs it.
    package var patience = 4
    /// `server unary/echo`: cases that are expected to fail.
    package var knownFailing: Set<String> = []
    /// What peers write on standard error is shown.
    package var isVerbose = false

    package init() {}
}

/// What became of one case in one role.
package struct CaseOutcome: Sendable {
    package enum Verdict: Sendable, Hashable {
        case passed
        case failed(String)
        /// Not tested; why.
        case uncovered(String)
        /// Failed, as the known-failing list says.
        case knownFailure(String)
        /// Passed, though the list says that it fails.
        case unexpectedPass
    }

    package let testCase: ContractCase
    package let role: ContractRole
    package var verdict: Verdict
    package let duration: Duration
    /// The last steps, for a failure.
    package let trace: [String]

    package var name: String { testCase.name }
    package var isBad: Bool {
        switch verdict {
        case .failed, .unexpectedPass: true
        case .passed, .uncovered, .knownFailure: false
        }
    }
}

/// Runs cases against implementations.
package struct ContractRun: Sendable {
    private let library: CaseLibrary
    private let plan: ContractPlan

    package init(library: CaseLibrary, plan: ContractPlan) {
        self.library = library
        self.plan = plan
    }

    /// - Parameter report: Told of each case as it ends.
    /// - Throws: When an implementation does not start or does not speak the protocol.
    package func run(_ report: @escaping @Sendable (CaseOutcome) -> Void = { _ in }) async throws -> [CaseOutcome] {
        let authority = try HarnessAuthority()
        defer { authority.remove() }
        var outcomes: [CaseOutcome] = []
        if let command = plan.server {
            let isVerbose = plan.isVerbose
            let stage = Stage(role: .server, authority: authority, client: LocalPeer()) {
                try ChildPeer(command: command, echoesLog: isVerbose)
            }
            outcomes += try await run(on: stage, report)
        }
        if let command = plan.client {
            let child = try ChildPeer(command: command, echoesLog: plan.isVerbose)
            let stage = Stage(role: .client, authority: authority, client: child) { LocalPeer() }
            outcomes += try await run(on: stage, report)
        }
        return outcomes
    }

    /// The cases of one role, those that want to be alone last.
    func run(
        on stage: Stage, _ report: @escaping @Sendable (CaseOutcome) -> Void, against service: ServiceUnderTest? = nil
    ) async throws -> [CaseOutcome] {
        do {
            let features = service == nil ? try await stage.describe().features : []
            let cases = library.cases.compactMap { testCase -> ContractCase? in
                guard let service else { return !testCase.isForServices && isWanted(testCase) ? testCase : nil }
                // Wanted by the case's own name, or by the one that it has for this service.
                guard let adapted = testCase.adapted(to: service) else { return nil }
                return isWanted(testCase) || isWanted(adapted) ? adapted : nil
            }.filter { $0.roles.contains(stage.role) }
            var outcomes = try await crowd(cases.filter { !$0.isAlone }, stage, features, report)
            for (index, testCase) in cases.filter(\.isAlone).enumerated() {
                outcomes.append(await play(testCase, stage, features, cases.count + index, report))
            }
            await stage.end()
            return outcomes
        } catch {
            await stage.end()
            throw error
        }
    }

    private func isWanted(_ testCase: ContractCase) -> Bool {
        plan.patterns.isEmpty || plan.patterns.contains { NamePattern($0).matches(testCase.name) }
    }

    private func crowd(
        _ cases: [ContractCase], _ stage: Stage, _ features: [ConformanceFeature],
        _ report: @escaping @Sendable (CaseOutcome) -> Void
    ) async throws -> [CaseOutcome] {
        await withTaskGroup(of: (Int, CaseOutcome).self) { group in
            var found: [Int: CaseOutcome] = [:]
            var rest = Array(cases.enumerated())[...]
            for _ in 0..<max(plan.jobs, 1) { add(rest.popFirst(), to: &group, stage, features, report) }
            while let (index, outcome) = await group.next() {
                found[index] = outcome
                add(rest.popFirst(), to: &group, stage, features, report)
            }
            return cases.indices.compactMap { found[$0] }
        }
    }

    private func add(
        _ next: (offset: Int, element: ContractCase)?, to group: inout TaskGroup<(Int, CaseOutcome)>, _ stage: Stage,
        _ features: [ConformanceFeature], _ report: @escaping @Sendable (CaseOutcome) -> Void
    ) {
        guard let (index, testCase) = next else { return }
        group.addTask { (index, await play(testCase, stage, features, index, report)) }
    }

    private func play(
        _ testCase: ContractCase, _ stage: Stage, _ features: [ConformanceFeature], _ number: Int,
        _ report: @escaping @Sendable (CaseOutcome) -> Void
    ) async -> CaseOutcome {
        let start = ContinuousClock.now
        var trace: [String] = []
        var verdict: CaseOutcome.Verdict
        var needs = testCase.needs
        // A client's server is the reference, which counts.
        if stage.role == .server, testCase.asksForReports { needs.append(.report) }
        let missing = needs.filter { !features.contains($0) }
        if let reason = testCase.uncovered {
            verdict = .uncovered(reason)
        } else if !missing.isEmpty {
            verdict = .uncovered("the peer does not have \(missing.map(\.name).joined(separator: ", "))")
        } else {
            (verdict, trace) = await attempt(testCase, stage, number)
        }
        verdict = expected(verdict, "\(stage.role.rawValue) \(testCase.name)")
        let outcome = CaseOutcome(
            testCase: testCase, role: stage.role, verdict: verdict, duration: start.duration(to: .now), trace: trace)
        report(outcome)
        return outcome
    }

    private func attempt(
        _ testCase: ContractCase, _ stage: Stage, _ number: Int
    ) async -> (CaseOutcome.Verdict, [String]) {
        let run = CaseRun(testCase, stage.role, stage, seed: plan.seed, number: number, patience: plan.patience)
        var verdict = CaseOutcome.Verdict.passed
        do {
            try await run.run()
        } catch {
            verdict = .failed("\(error)")
        }
        await run.cleanUp()
        await stage.release(testCase)
        if verdict == .passed { return (verdict, []) }
        return (verdict, run.trace + run.log.suffix(20).map { "peer: \($0)" })
    }

    private func expected(_ verdict: CaseOutcome.Verdict, _ name: String) -> CaseOutcome.Verdict {
        guard plan.knownFailing.contains(name) else { return verdict }
        switch verdict {
        case .failed(let reason): return .knownFailure(reason)
        case .passed: return .unexpectedPass
        default: return verdict
        }
    }
}

/// A name with `*` for any number of characters.
package struct NamePattern: Sendable, Hashable {
    private let parts: [String]

    package init(_ text: String) {
        parts = text.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
    }

    package func matches(_ name: String) -> Bool {
        guard let first = parts.first, let last = parts.last, parts.count > 1 else { return parts == [name] }
        guard name.hasPrefix(first), name.count >= first.count + last.count, name.hasSuffix(last) else { return false }
        var rest = name.dropFirst(first.count).dropLast(last.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.range(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}

/// The list of cases that are expected to fail.
package enum KnownFailing {
    /// Lines of `role name`, such as `server unary/echo` or `server auth: ping/echo`; what follows `#` is a remark.
    package static func parse(_ text: String) throws(CaseError) -> Set<String> {
        var names: Set<String> = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: "#", omittingEmptySubsequences: false)[0].split(separator: " ")
            guard !words.isEmpty else { continue }
            guard words.count >= 2, ContractRole(rawValue: String(words[0])) != nil else {
                throw CaseError("line \(number + 1) is \"\(line)\"; it takes `server NAME` or `client NAME`.")
            }
            names.insert(words.joined(separator: " "))
        }
        return names
    }

    /// Names on a list that no case has any more, or never had.
    package static func strangers(_ names: Set<String>, in library: CaseLibrary) -> [String] {
        let known = Set(library.cases.flatMap { testCase in testCase.roles.map { "\($0.rawValue) \(testCase.name)" } })
        return names.filter { name in
            let words = name.split(separator: " ")
            return !known.contains("\(words.first ?? "") \(words.last ?? "")")
        }.sorted()
    }
}
