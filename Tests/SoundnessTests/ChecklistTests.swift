import Foundation
import Testing

/// The checklist names tests that are there, and their names carry its sources.
@Suite struct ChecklistTests {
    private struct Row {
        let demand: String
        let sources: [String]
        let tests: [String]
        let reason: String
    }

    private static func rows() throws -> [Row] {
        let file = SourceTree.root.appending(path: "Tests/Checklist/README.md")
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard line.hasPrefix("| "), cells.count == 3, cells[0] != "Demand" else { return nil }
            let parts = cells[2].split(separator: "`", omittingEmptySubsequences: false)
            let (texts, tests) = (parts.enumerated().filter { $0.0 % 2 == 0 }, parts.enumerated().filter { $0.0 % 2 == 1 })
            return Row(
                demand: cells[0], sources: sources(cells[1]), tests: tests.map { String($0.1) },
                reason: texts.map { String($0.1) }.joined().trimmingCharacters(in: .whitespaces))
        }
    }

    /// `ASVS 6.2.3, 6.3.7, RFC 9700 4.14` names three: a bare number belongs to what was named before it.
    private static func sources(_ text: some StringProtocol) -> [String] {
        var (document, all) = ("", [String]())
        for part in text.split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if part.first?.isNumber == true {
                all.append("\(document) \(part)")
            } else {
                document = part.split(separator: " ").dropLast().joined(separator: " ")
                all.append(part)
            }
        }
        return all
    }

    /// The display name of each test, by suite and function.
    private static func tests() throws -> [String: String] {
        var names: [String: String] = [:]
        for file in try SourceTree.swift(below: "Tests") {
            var suite = ""
            let text = file.lines.joined(separator: "\n")
            for (index, part) in text.components(separatedBy: "@Test").enumerated() {
                if index > 0, let function = part.firstMatch(of: /func (\w+)/) {
                    let name = part.prefixMatch(of: /\(\s*"((?:[^"\\]|\\.)*)"/)
                    names["\(suite).\(function.1)"] = name.map { String($0.1) } ?? ""
                }
                if let last = part.matches(of: /(?:struct|class|actor|extension) (\w+Tests)\b/).last { suite = String(last.1) }
            }
        }
        return names
    }

    @Test func everySourceIsInTheNameOfATestThatIsThere() throws {
        let tests = try Self.tests()
        let rows = try Self.rows()
        #expect(rows.count >= 50)
        for row in rows {
            #expect(row.tests.isEmpty != row.reason.isEmpty, "\(row.demand): tests, or the reason why there are none")
            for test in row.tests { #expect(tests[test] != nil, "\(row.demand): there is no test \(test)") }
            guard !row.tests.isEmpty else { continue }
            let named = Set(row.tests.flatMap { Self.sources((tests[$0] ?? "").prefix { $0 != ":" }) })
            for source in row.sources { #expect(named.contains(source), "\(row.demand): no name carries \(source)") }
        }
    }
}
