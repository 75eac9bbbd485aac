import AuthService
import Foundation
import ServiceKit
import Testing

@Suite struct ReadmeTests {
    @Test("ASVS 7.1.1: every key is documented with its default, those of sessions among them")
    func everyKeyIsDocumentedWithItsDefault() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let readme = try String(
            contentsOf: folder.appending(path: "../../services/auth/README.md"), encoding: .utf8)
        // There and nowhere else: a row in another table says nothing to who looks here.
        let start = try #require(readme.range(of: "\n## Configuration\n"))
        let rest = readme[start.upperBound...]
        let table = rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)]
        for entry in AuthConfig.table.entries {
            #expect(table.contains("| `\(entry.name)` | `\(entry.defaultText ?? "")` |"), "\(entry.name)")
            #expect(!readme[..<start.lowerBound].contains("| `\(entry.name)` | `\(entry.defaultText ?? "")` |"), "\(entry.name)")
        }
    }

    @Test func configurationBecomesPolicy() throws {
        let configuration = try Configuration.load(
            AuthConfig.table,
            environment: ["LOCKSTEP_AUTH_REFRESH_GRACE": "3s", "LOCKSTEP_AUTH_SESSIONS_PER_USER": "7"],
            file: nil)
        let policy = try AuthPolicy(configuration)
        #expect(policy.refreshGrace == .seconds(3) && policy.sessionsPerUser == 7)
        #expect(policy.accessTokenLifetime == AuthPolicy().accessTokenLifetime)
        #expect(policy.audience == AuthPolicy().audience && policy.signingKey == AuthPolicy().signingKey)
    }
}
