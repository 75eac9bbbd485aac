import Foundation
import Testing

/// A SYNC service neither suspends nor calls out, in any of its files (design, decision 2).
@Suite struct SoundnessTests {
    private static let sources = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../services/encryption/Sources").standardizedFileURL

    private static let bannedWords = ["async", "await", "Task", "TaskGroup", "EventLoop", "EventLoopFuture"]
    private static let bannedModules = [
        "RPCClient", "ContractClients", "FoundationNetworking", "AsyncHTTPClient", "NIOCore", "NIOPosix", "SQL",
    ]

    private func files() throws -> [URL] {
        let all = try #require(FileManager.default.enumerator(at: Self.sources, includingPropertiesForKeys: nil))
        return all.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    }

    @Test func nothingSuspendsOrCallsOut() throws {
        let files = try files()
        #expect(files.count > 10)
        for file in files {
            let code = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
                .filter { !$0.drop { $0 == " " }.hasPrefix("//") }
            for line in code {
                let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                for word in words where Self.bannedWords.contains(String(word)) {
                    Issue.record("\(file.lastPathComponent): \(word) in a SYNC service: \(line)")
                }
                guard words.contains("import"), let module = words.last else { continue }
                // What the keyring thread does with databases, and nobody else.
                if module == "SQL", file.deletingLastPathComponent().lastPathComponent == "KeyringStore" { continue }
                #expect(!Self.bannedModules.contains(String(module)), "\(file.lastPathComponent) imports \(module)")
            }
        }
    }
}
