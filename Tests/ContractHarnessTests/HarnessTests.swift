import ContractHarness
import Foundation
import TestSupport
import Testing

/// What the harness itself does with good and bad cases, lists and peers.
@Suite struct HarnessTests {
    private func library(_ json: String) throws -> CaseLibrary {
        let folder = NSTemporaryDirectory() + "lockstep-cases-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try json.write(toFile: folder + "/cases.json", atomically: true, encoding: .utf8)
        return try CaseLibrary(folder: folder)
    }

    private func one(_ steps: String, more: String = "") -> String {
        """
        {"cases": [{"name": "a/b", "rules": ["W-80"], "roles": ["server"]\(more), "steps": [\(steps)]}]}
        """
    }

    private func plan(known: Set<String> = [], patterns: [String] = []) throws -> ContractPlan {
        var plan = ContractPlan()
        plan.server = try Checkout.peer
        plan.knownFailing = known
        plan.patterns = patterns
        return plan
    }

    private static let good = #"{"call": {"method": "UNARY"}}"#
    private static let bad = #"{"call": {"method": "UNARY"}, "expect": {"code": "NOT_FOUND"}}"#

    @Test(arguments: [
        ("{", "cases.json"), ("{\"cases\": [{}]}", "no name"),
        ("{\"cases\": [{\"name\": \"x\", \"roles\": [\"server\"]}]}", "no steps"),
        ("{\"cases\": [{\"name\": \"x\", \"roles\": [\"judge\"], \"steps\": []}]}", "judge"),
        ("{\"cases\": [{\"name\": \"x\", \"roles\": [\"server\"], \"steps\": [{\"dance\": 1}]}]}", "dance"),
        (
            "{\"cases\": [{\"name\": \"x\", \"roles\": [\"server\"], \"speed\": 1, \"steps\": [{\"wait_ms\": 1}]}]}",
            "speed"
        ),
    ])
    func aWrongCaseIsNamed(json: String, word: String) throws {
        let error = #expect(throws: CaseError.self) { try library(json) }
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }

    @Test func aCaseThatFailsSaysHow() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.bad)), plan: plan()).run()
        let outcome = try #require(outcomes.first)
        guard case .failed(let reason) = outcome.verdict else {
            Issue.record("it passed")
            return
        }
        #expect(reason.contains("code is"))
        #expect(outcome.isBad)
        #expect(OutcomeTable(outcomes, isColoured: false).text.contains("FAILED server a/b"))
        #expect(OutcomeFiles(outcomes, seed: 7).junit.contains("failures=\"1\""))
        #expect(OutcomeFiles(outcomes, seed: 7).json.contains("\"outcome\":\"failed\""))
    }

    @Test func plainTextHasNoColour() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.good)), plan: plan()).run()
        #expect(!OutcomeTable(outcomes, isColoured: false).text.contains("\u{1b}"))
        #expect(OutcomeTable(outcomes, isColoured: true).text.contains("\u{1b}"))
    }

    @Test func aKnownFailureIsNoFailure() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.bad)), plan: plan(known: ["server a/b"])).run()
        let bad = outcomes.filter(\.isBad)
        #expect(outcomes.count == 1 && bad.isEmpty)
    }

    @Test func anUnexpectedPassFails() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.good)), plan: plan(known: ["server a/b"])).run()
        #expect(outcomes.map(\.verdict) == [.unexpectedPass])
        #expect(outcomes.first?.isBad == true)
    }

    @Test func knownFailingListsNameRoleAndCase() throws {
        #expect(try KnownFailing.parse("# remark\nserver a/b # why\n\nclient c/d\n") == ["server a/b", "client c/d"])
        #expect(try KnownFailing.parse("server auth: a/b") == ["server auth: a/b"])
        #expect(throws: CaseError.self) { try KnownFailing.parse("a/b") }
    }

    @Test func aKnownFailureThatNoCaseHasIsNamed() throws {
        let library = try library(one(Self.good))
        let list: Set = ["server a/b", "server auth: a/b", "client a/b", "server c/d"]
        #expect(KnownFailing.strangers(list, in: library) == ["client a/b", "server c/d"])
    }

    @Test func aFileOfKnownFailuresSkipsThemInXML() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.bad)), plan: plan(known: ["server a/b"])).run()
        let files = OutcomeFiles(outcomes, seed: 7)
        #expect(files.junit.contains("failures=\"0\" errors=\"0\" skipped=\"1\""))
        #expect(files.json.contains("\"outcome\":\"known\"") && files.json.contains("\"seed\":\"7\""))
        let passed = try await ContractRun(library: library(one(Self.good)), plan: plan(known: ["server a/b"])).run()
        #expect(OutcomeFiles(passed, seed: 7).junit.contains("failures=\"1\""))
    }

    @Test func patternsSelectCases() async throws {
        let outcomes = try await ContractRun(library: library(one(Self.good)), plan: plan(patterns: ["c/*"])).run()
        #expect(outcomes.isEmpty)
    }

    @Test(arguments: [
        ("*", "unary/echo", true), ("unary/*", "unary/echo", true), ("*echo", "unary/echo", true),
        ("u*o", "unary/echo", true),
        ("unary/echo", "unary/echo", true), ("unary", "unary/echo", false), ("a*a", "a", false),
        ("*x*", "unary/echo", false),
    ])
    func patternMatches(pattern: String, name: String, matches: Bool) {
        #expect(NamePattern(pattern).matches(name) == matches)
    }

    @Test func aMissingFeatureIsUncoveredAndSaysSo() async throws {
        let text = one(Self.good, more: ", \"needs\": [\"TRAILERS\"]")
        let outcomes = try await ContractRun(library: library(text), plan: plan()).run()
        #expect(outcomes.map(\.verdict) == [.uncovered("the peer does not have TRAILERS")])
    }

    @Test(arguments: [
        ("runs server 1", [], "it is as expected"),
        ("runs server 2", ["server: 1 cases ran, 2 are expected to"], "a case is gone"),
        (
            "runs server 1\nserver x/y # why", ["server x/y is expected not to run, and did or is gone"],
            "a case that was not to run"
        ),
    ])
    func whatRanIsComparedWithWhatShould(file: String, differences: [String], about: String) async throws {
        let outcomes = try await ContractRun(library: library(one(Self.good)), plan: plan()).run()
        #expect(try ExpectedCoverage(parsing: file).differences(outcomes, isWhole: true) == differences, "\(about)")
        #expect(try ExpectedCoverage(parsing: file).differences(outcomes, isWhole: false) == [])
    }

    @Test func aCaseThatNoLongerRunsIsNoticed() async throws {
        let text = one(Self.good, more: ", \"needs\": [\"TRAILERS\"]")
        let outcomes = try await ContractRun(library: library(text), plan: plan()).run()
        let spared = try ExpectedCoverage(parsing: "runs server 0\nserver a/b")
        #expect(spared.differences(outcomes, isWhole: true) == [])
        let lost = try ExpectedCoverage(parsing: "runs server 1")
        #expect(lost.differences(outcomes, isWhole: false) == ["server a/b did not run, and should have"])
        #expect(lost.differences(outcomes, isWhole: true).count == 2)
        #expect(throws: CaseError.self) { try ExpectedCoverage(parsing: "runs judge 1") }
    }

    @Test(arguments: ["lockstep", "python"])
    func whatPeersAreSparedAreCasesThatThereAre(peer: String) throws {
        let text = try String(contentsOfFile: "\(Checkout.cases)/\(peer).coverage", encoding: .utf8)
        let library = try CaseLibrary(folder: Checkout.cases)
        #expect(try KnownFailing.strangers(ExpectedCoverage(parsing: text).uncovered, in: library) == [])
    }

    @Test func whoReplacesCertificatesIsAlone() throws {
        let error = #expect(throws: CaseError.self) { try library(one("{\"rotate\": {}}")) }
        #expect(error?.description.contains("not alone") == true)
    }

    @Test func everyNumberOfTheCatalogueHasItsCases() throws {
        let library = try CaseLibrary(folder: Checkout.cases)
        let catalogue = try CaseCatalogue(folder: Checkout.cases)
        #expect(catalogue.entries.count == 84)
        #expect(catalogue.gaps(in: library) == [])
        let text = catalogue.text(library) { _ in true }
        #expect(text.contains("55  age-idle\n    server: age/old  W-100 W-104 W-108"))
        #expect(text.contains("66  tls/resumption-identity\n    server: NOT COVERED: tls/resumption-identity"))
        let spared = Set(library.cases.filter { $0.uncovered != nil }.compactMap(\.number))
        #expect(spared == ["66", "75"])
        #expect(text.contains("    client: retry/budget  W-83"))
    }

    @Test func aServerWithoutCountersIsSparedTheCasesThatAskForThem() async throws {
        let peer = NSTemporaryDirectory() + "lockstep-peer-\(UUID().uuidString)"
        // Turns the command `describe` into the reply of a peer that can do nothing beside: the field's number changes.
        try """
            dd bs=64 count=1 2> /dev/null | LC_ALL=C sed 's/\\x12\\x00$/\\x1a\\x00/'
            cat > /dev/null

            """
            .write(toFile: peer, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: peer) }
        var plan = ContractPlan()
        plan.server = "sh \(peer)"
        let text = one("{\"for\": {\"i\": [1]}, \"do\": [{\"report\": \"$tag\"}]}")
        let outcomes = try await ContractRun(library: library(text), plan: plan).run()
        #expect(outcomes.map(\.verdict) == [.uncovered("the peer does not have REPORT")])
    }

    @Test(arguments: ["false", "echo hello", "/no/such/program"])
    func aPeerThatIsNoneIsAnError(command: String) async throws {
        var plan = ContractPlan()
        plan.server = command
        let run = ContractRun(library: try library(one(Self.good)), plan: plan)
        await #expect(throws: (any Error).self) { try await run.run() }
    }
}
