/// How many cases a peer is expected to run in each role, and which ones it is spared: so that none gets lost unnoticed.
package struct ExpectedCoverage: Sendable, Hashable {
    /// `server meta/trailers`
    package let uncovered: Set<String>
    /// Cases that are not uncovered, by role.
    private let runs: [ContractRole: Int]

    /// Lines of `runs server 97`, one for each role, and of `server NAME` for each case that the peer is spared; what
    /// follows `#` is a remark.
    package init(parsing text: String) throws(CaseError) {
        var (rest, runs): ([String], [ContractRole: Int]) = ([], [:])
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(separator: "#", omittingEmptySubsequences: false)[0].split(separator: " ")
            guard words.first == "runs" else {
                rest.append(String(line))
                continue
            }
            guard words.count == 3, let role = ContractRole(rawValue: String(words[1])), let count = Int(words[2]) else {
                throw CaseError("\"\(line)\" is not `runs server NUMBER` or `runs client NUMBER`.")
            }
            runs[role] = count
        }
        self.runs = runs
        uncovered = try KnownFailing.parse(rest.joined(separator: "\n"))
    }

    /// What is otherwise than expected, for people.
    ///
    /// - Parameter isWhole: All cases ran; with a part of them what is missing does not matter.
    package func differences(_ outcomes: [CaseOutcome], isWhole: Bool) -> [String] {
        var found: [String] = []
        for role in ContractRole.allCases {
            let mine = outcomes.filter { $0.role == role }
            guard !mine.isEmpty else { continue }
            let spared = Set(mine.filter(\.isUncovered).map { "\(role.rawValue) \($0.name)" })
            let expected = uncovered.filter { $0.hasPrefix("\(role.rawValue) ") }
            found += spared.subtracting(expected).sorted().map { "\($0) did not run, and should have" }
            guard isWhole else { continue }
            found += expected.subtracting(spared).sorted().map { "\($0) is expected not to run, and did or is gone" }
            let count = mine.count { !$0.isUncovered }
            if let expected = runs[role], expected != count {
                found.append("\(role.rawValue): \(count) cases ran, \(expected) are expected to")
            }
        }
        return found
    }
}

extension CaseOutcome {
    fileprivate var isUncovered: Bool { uncoveredReason != nil }
}
