import Foundation

/// Outcomes for machines.
package struct OutcomeFiles: Sendable {
    private let outcomes: [CaseOutcome]
    private let seed: UInt64

    package init(_ outcomes: [CaseOutcome], seed: UInt64) {
        self.outcomes = outcomes
        self.seed = seed
    }

    /// `{"seed": 1, "cases": [{"name", "number", "role", "rules", "outcome", "detail", "seconds"}]}`
    package var json: String {
        let cases = outcomes.map { outcome in
            JSONValue.object([
                "name": .string(outcome.name), "number": outcome.testCase.number.map { .string($0) } ?? .null,
                "role": .string(outcome.role.rawValue), "rules": .array(outcome.testCase.rules.map { .string($0) }),
                "outcome": .string(outcome.verdict.word), "detail": .string(outcome.verdict.detail),
                "seconds": .double(outcome.seconds),
            ])
        }
        return JSONValue.object(["seed": .string(String(seed)), "cases": .array(cases)]).text + "\n"
    }

    /// One suite for each role; uncovered and known failures are skipped.
    package var junit: String {
        let suites = ContractRole.allCases.map(suite).joined()
        return
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"lockstep contract\">\n\(suites)</testsuites>\n"
    }

    private func suite(_ role: ContractRole) -> String {
        let mine = outcomes.filter { $0.role == role }
        guard !mine.isEmpty else { return "" }
        let (bad, skipped) = (mine.count(where: \.isBad), mine.count { $0.isSkipped })
        let head =
            "  <testsuite name=\"\(role.rawValue)\" tests=\"\(mine.count)\" failures=\"\(bad)\" errors=\"0\" skipped=\"\(skipped)\" "
            + "time=\"\(CaseOutcome.rounded(mine.reduce(0) { $0 + $1.seconds }))\">\n"
        return head + mine.map(element).joined() + "  </testsuite>\n"
    }

    private func element(_ outcome: CaseOutcome) -> String {
        let parts = outcome.name.split(separator: "/", maxSplits: 1).map(String.init)
        let name = parts.last ?? outcome.name
        let head =
            "    <testcase classname=\"\(outcome.role.rawValue).\(Self.escaped(parts[0]))\" name=\"\(Self.escaped(name))\" "
            + "time=\"\(outcome.seconds)\""
        let detail = Self.escaped(outcome.verdict.detail)
        if outcome.isBad {
            let trace = Self.escaped(outcome.trace.joined(separator: "\n"))
            return head + ">\n      <failure message=\"\(detail)\">\(trace)</failure>\n    </testcase>\n"
        }
        guard outcome.isSkipped else { return head + "/>\n" }
        return head + ">\n      <skipped message=\"\(detail)\"/>\n    </testcase>\n"
    }

    /// For XML 1.0: its special characters, and nothing that it cannot hold.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\n": escaped += "&#10;"
            case "\t": escaped += "&#9;"
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension CaseOutcome {
    fileprivate var isSkipped: Bool {
        switch verdict {
        case .uncovered, .knownFailure: true
        case .passed, .failed, .unexpectedPass: false
        }
    }

    fileprivate var seconds: Double { Self.rounded(Double(duration.microseconds) / 1_000_000) }

    /// To milliseconds.
    fileprivate static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
