import Foundation
import ServiceKit
import Testing
import TokenService

/// The README says what the program does.
@Suite struct ConfigTests {
    @Test func everyKeyIsInTheReadme() throws {
        let folder = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: folder.appending(path: "services/token/README.md"), encoding: .utf8)
        for row in TokenConfig.table.markdown.split(separator: "\n").dropFirst(2) {
            #expect(readme.contains(row), "README lacks: \(row)")
        }
    }
}
