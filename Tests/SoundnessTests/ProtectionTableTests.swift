import Foundation
import Testing

/// The table of others' failures names tests that are there, and run.
@Suite struct ProtectionTableTests {
    private struct Row {
        let failure: String
        let tests: [Substring]
    }

    private static func rows() throws -> [Row] {
        let file = SourceTree.root.appending(path: "Tests/RPCTransportTests/Protection/README.md")
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| ") }
            .dropFirst().map { line in
                let cells = line.split(separator: "|")
                return Row(failure: String(cells[0]), tests: (cells.last ?? "").split(separator: "`").filter { $0.contains(".") })
            }
    }

    @Test func everyFailureHasATestThatRuns() throws {
        let files = try SourceTree.swift(below: "Tests")
        let rows = try Self.rows()
        #expect(rows.count >= 28)
        for row in rows {
            #expect(!row.tests.isEmpty, "\(row.failure) has no test")
            for test in row.tests {
                let problem = Self.problem(test, files)
                #expect(problem == nil, "\(row.failure): \(test) \(problem ?? "")")
            }
        }
    }

    @Test(arguments: [
        ("  @Test func a() {", nil), ("  @Test(\"Text\", arguments: [\n    1, 2,\n  ])\n  func a(b: Int) {", nil),
        ("  @Test(\"Text\")\n  // why\n  func a() {", nil), ("  // @Test func a() {", "is no function of"),
        ("  func a() {", "is no test"), ("  @Test func b() {}\n\n  func a() {", "is no test"),
        ("  @Test func b() {\n  func a() {", "is no test"), ("  @Test(.disabled(\"why\")) func a() {", "is disabled"),
    ])
    func whatCountsAsATest(text: String, problem: String?) {
        let file = SourceTree.File(path: "Tests/X/Y/B.swift", lines: text.components(separatedBy: "\n"))
        let found = Self.problem("X/B.a", [file])
        #expect(problem.map { found?.hasPrefix($0) == true } ?? (found == nil), "\(found ?? "nothing")")
        #expect(Self.problem("Y/B.a", [file]) != nil && Self.problem("X/B.a", [file, file]) != nil)
    }

    /// - Parameter test: `WireCoreTests/DeadlineTests.name`: the file is below that folder, and there is one of that name.
    private static func problem(_ test: Substring, _ files: [SourceTree.File]) -> String? {
        let parts = test.split(separator: ".")
        let place = parts[0].split(separator: "/")
        guard parts.count == 2, place.count >= 2 else { return "does not name its folder" }
        let folder = "Tests/\(place.dropLast().joined(separator: "/"))/"
        let found = files.filter { $0.path.hasPrefix(folder) && $0.path.hasSuffix("/\(place[place.count - 1]).swift") }
        guard let file = found.first, found.count == 1 else { return "means \(found.count) files" }
        return problem(ofFunction: parts[1], in: file)
    }

    private static func problem(ofFunction name: Substring, in file: SourceTree.File) -> String? {
        guard let line = file.lines.indices.first(where: { file.code(at: $0).contains("func \(name)(") }) else {
            return "is no function of \(file.path)"
        }
        var text = ""
        for index in (0...line).reversed() {
            let code = file.code(at: index).trimmingCharacters(in: .whitespaces)
            // What stands before it is over.
            let isOver = file.lines[index].allSatisfy(\.isWhitespace) || code.hasSuffix("}") || code.hasSuffix("{")
            if index < line, isOver { break }
            text = code + text
            if code.hasPrefix("@Test") { return text.contains(".disabled(") ? "is disabled" : nil }
        }
        return "is no test"
    }
}
