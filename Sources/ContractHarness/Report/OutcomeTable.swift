import Foundation

/// Outcomes as text for people.
package struct OutcomeTable: Sendable {
    private let outcomes: [CaseOutcome]
    private let isColoured: Bool

    /// - Parameter isColoured: For terminals; a pipe gets plain text.
    package init(_ outcomes: [CaseOutcome], isColoured: Bool) {
        self.outcomes = outcomes
        self.isColoured = isColoured
    }

    /// One line for each case, both roles beside each other, then what failed and how, then the sum.
    package var text: String { (rows + failures + [sum]).joined(separator: "\n") }

    private var names: [String] {
        var seen: Set<String> = []
        return outcomes.map(\.name).filter { seen.insert($0).inserted }
    }

    private var rows: [String] {
        let width = names.map(\.count).max() ?? 0
        let head = "\("case".padded(width))  no.   server     client     rules"
        return [head]
            + names.map { name in
                let mine = outcomes.filter { $0.name == name }
                let number = (mine.first?.testCase.number ?? "").padded(4)
                let cells = ContractRole.allCases.map { role in cell(mine.filter { $0.role == role }) }
                let reasons = Set(mine.compactMap(\.uncoveredReason)).sorted().map { "  (\($0))" }.joined()
                let rules = Set(mine.flatMap(\.testCase.rules)).sorted().joined(separator: " ")
                return "\(name.padded(width))  \(number)  \(cells.joined(separator: "  "))  \(rules)\(reasons)"
            }
    }

    /// Several cases may have one name in one role: the worst counts.
    private func cell(_ outcomes: [CaseOutcome]) -> String {
        guard let worst = outcomes.max(by: { $0.verdict.weight < $1.verdict.weight }) else { return "-".padded(9) }
        let word = worst.verdict.word.padded(9)
        guard isColoured else { return word }
        return "\u{1b}[\(worst.verdict.colour)m\(word)\u{1b}[0m"
    }

    private var failures: [String] {
        outcomes.flatMap { outcome -> [String] in
            switch outcome.verdict {
            case .failed(let reason):
                ["", "FAILED \(outcome.role.rawValue) \(outcome.name): \(reason)"]
                    + outcome.trace.suffix(12).map { "    \($0)" }
            case .unexpectedPass:
                ["", "UNEXPECTED PASS \(outcome.role.rawValue) \(outcome.name): take it off the known-failing list."]
            case .knownFailure(let reason): ["", "KNOWN FAILURE \(outcome.role.rawValue) \(outcome.name): \(reason)"]
            case .passed, .uncovered: []
            }
        }
    }

    private var sum: String {
        let counts = ["passed", "failed", "uncovered", "known", "unexpected"].map { word in
            (word, outcomes.count { $0.verdict.word == word })
        }
        return "\n" + counts.filter { $0.1 > 0 || $0.0 == "passed" }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
    }
}

extension CaseOutcome {
    var uncoveredReason: String? {
        if case .uncovered(let reason) = verdict { reason } else { nil }
    }
}

extension CaseOutcome.Verdict {
    /// As tables and files write it.
    package var word: String {
        switch self {
        case .passed: "passed"
        case .failed: "failed"
        case .uncovered: "uncovered"
        case .knownFailure: "known"
        case .unexpectedPass: "unexpected"
        }
    }

    var weight: Int {
        switch self {
        case .passed: 0
        case .uncovered: 1
        case .knownFailure: 2
        case .unexpectedPass: 3
        case .failed: 4
        }
    }

    fileprivate var colour: Int {
        switch self {
        case .passed: 32
        case .uncovered, .knownFailure: 33
        case .failed, .unexpectedPass: 31
        }
    }

    /// What there is to say beside the word.
    var detail: String {
        switch self {
        case .passed: ""
        case .failed(let reason), .uncovered(let reason), .knownFailure(let reason): reason
        case .unexpectedPass: "passed, though the known-failing list names it"
        }
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        padding(toLength: max(width, count), withPad: " ", startingAt: 0)
    }
}
