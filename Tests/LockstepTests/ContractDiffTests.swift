import Foundation
@testable import lockstep
import RPCCodeGen
import Testing
import TestSupport

/// `lockstep contract diff` with real files, folders and revisions, read by the real protoc and git.
@Suite struct ContractDiffTests {
    private static let protocols = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Protocols").resolvingSymlinksInPath()

    /// A contract of one method, with these words in its rules.
    private static func write(_ rules: String, to folder: String) throws {
        let options = "lockstep/contract/v1/options.proto"
        let file = URL(fileURLWithPath: folder)
        try FileManager.default.createDirectory(
            at: file.appending(path: "lockstep/contract/v1"), withIntermediateDirectories: true)
        let text = try Data(contentsOf: protocols.appending(path: options))
        try text.write(to: file.appending(path: options))
        let service = """
            syntax = "proto3";
            package probe.v1;
            import "\(options)";
            service ProbeService {
              option (lockstep.contract.v1.service) = {execution: ASYNC};
              rpc Ask(AskRequest) returns (AskResponse) {
                option (lockstep.contract.v1.method) = {callers: ["gateway"] exposure: INTERNAL \(rules)};
              }
            }
            message AskRequest {}
            message AskResponse {}
            """
        try service.write(to: file.appending(path: "probe.proto"), atomically: true, encoding: .utf8)
    }

    @Test func aFolderIsComparedWithARevision() throws {
        let directory = try TemporaryDirectory()
        let repository = directory.path("repository")
        try Self.write("request_limit: 9000", to: repository + "/Protocols")
        try Tool.run("git", ["init", "--quiet", repository])
        let author = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
        try Tool.run("git", ["-C", repository, "add", "."])
        try Tool.run("git", ["-C", repository] + author + ["commit", "--quiet", "-m", "First"])
        let commit = try Tool.run("git", ["-C", repository, "rev-parse", "HEAD"])
        try Self.write("request_limit: 8000 priority: EMERGENCY", to: repository + "/Protocols")

        let old = ContractSource.revision(commit, folder: "Protocols")
        let before = try ContractModel(descriptorSet: old.descriptorSet(repository: repository))
        let after = try ContractModel(descriptorSet: ContractSource(repository + "/Protocols").descriptorSet())
        let report = DiffReport(ContractDiff(from: before, to: after))
        #expect(
            report.table == """
                breaking    probe.proto:7:5  probe.v1.ProbeService/Ask  `request_limit` 9000 bytes -> 8000 bytes [request-limit]
                compatible  probe.proto:7:5  probe.v1.ProbeService/Ask  `priority` ROUTINE -> EMERGENCY [lane]
                1 breaking, 1 compatible
                """)
        let json = try #require(JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
        let changes = try #require(json["changes"] as? [[String: Any]])
        #expect(json["breaking"] as? Int == 1)
        #expect(changes.map { $0["line"] as? Int } == [7, 7])
        #expect(changes.map { $0["file"] as? String } == ["probe.proto", "probe.proto"])
        #expect(changes[0]["rule"] as? String == "request-limit")
    }

    @Test func anArgumentIsAFileAFolderOrARevision() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("contract.binpb")
        try Data().write(to: URL(fileURLWithPath: file))
        #expect(ContractSource(file) == .descriptors(file))
        #expect(ContractSource(directory.path("")) == .folder(directory.path("")))
        #expect(ContractSource("HEAD~3") == .revision("HEAD~3", folder: "Protocols"))
        #expect(ContractSource("v1:Other/Protocols") == .revision("v1", folder: "Other/Protocols"))
    }

    @Test(arguments: ["--output=/tmp/x", "no-such-revision", ""])
    func whatIsNoRevisionIsSaidSo(revision: String) throws {
        let failure = #expect(throws: CommandFailure.self) {
            try ContractSource.revision(revision, folder: "Protocols").descriptorSet()
        }
        #expect(failure?.description.contains("neither a file, a folder nor a git revision") == true)
        #expect(failure?.status == 65)
    }

    @Test func anEmptyFolderAndAWrongContractAreRefused() throws {
        let directory = try TemporaryDirectory()
        #expect(throws: CommandFailure.self) { try ContractSource(directory.path("")).descriptorSet() }
        try "syntax = \"proto3\"; message".write(toFile: directory.path("a.proto"), atomically: true, encoding: .utf8)
        let failure = #expect(throws: CommandFailure.self) { try ContractSource(directory.path("")).descriptorSet() }
        #expect(failure?.description.contains("a.proto:1") == true)
    }

    /// The house's own contract against what was released: what `make check` asks, too.
    @Test func theContractBreaksNobodyOfTheRelease() throws {
        let released = try ContractSource(Self.protocols.appending(path: "baseline.binpb").path).descriptorSet()
        let diff = ContractDiff(
            from: try ContractModel(descriptorSet: released),
            to: try ContractModel(descriptorSet: ContractSource(Self.protocols.path).descriptorSet()))
        #expect(diff.breaking.isEmpty, "\(DiffReport(diff).table)\nWhen this is meant: `make baseline BREAKING=yes`.")
    }
}
