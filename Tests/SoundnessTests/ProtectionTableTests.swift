import Foundation
import Testing

/// The table of others' failures names tests that are there.
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

    @Test func everyFailureHasATestThatIsThere() throws {
        let files = try SourceTree.swift(below: "Tests").map { file in
            (name: file.path.split(separator: "/").last.map(String.init) ?? "", text: file.lines.joined(separator: "\n"))
        }
        let rows = try Self.rows()
        #expect(rows.count >= 28)
        for row in rows {
            #expect(!row.tests.isEmpty, "\(row.failure) has no test")
            for test in row.tests {
                let parts = test.split(separator: ".")
                let isThere = files.contains { $0.name == "\(parts[0]).swift" && $0.text.contains("func \(parts[1])(") }
                #expect(isThere, "\(row.failure): there is no test \(test)")
            }
        }
    }
}
