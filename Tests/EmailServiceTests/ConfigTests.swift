import EmailService
import Foundation
import ServiceKit
import Testing

/// The README says what the program does.
@Suite struct ConfigTests {
    @Test func everyKeyIsInTheReadme() throws {
        let folder = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: folder.appending(path: "services/email/README.md"), encoding: .utf8)
        for row in EmailConfig.table.markdown.split(separator: "\n").dropFirst(2) {
            #expect(readme.contains(row), "README lacks: \(row)")
        }
    }

    @Test(arguments: [
        ("LOCKSTEP_EMAIL_LINK_BASE", "http://example.com"), ("LOCKSTEP_EMAIL_LINK_BASE", "https://a/#x"),
        ("LOCKSTEP_EMAIL_FROM_ADDRESS", "nobody"), ("LOCKSTEP_EMAIL_FROM_NAME", "a\nBcc: b"),
        ("LOCKSTEP_EMAIL_SINK", "smtp"), ("LOCKSTEP_EMAIL_PARALLELISM", "0"),
    ])
    func wrongValuesStopTheStart(variable: String, value: String) {
        #expect(throws: (any Error).self) {
            _ = try Configuration.load(EmailConfig.table, environment: [variable: value], file: nil)
        }
    }
}
