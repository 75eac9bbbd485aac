import ContractHarness
import Foundation
import Testing

/// The cases against our own implementation, as `make contract` runs them.
@Suite struct ContractTests {
    private static func plan() throws -> ContractPlan {
        var plan = ContractPlan()
        plan.server = try Checkout.peer
        plan.client = plan.server
        return plan
    }

    @Test func ourServerAndClientPassEveryCase() async throws {
        let library = try CaseLibrary(folder: Checkout.cases)
        let outcomes = try await ContractRun(library: library, plan: Self.plan()).run()
        for outcome in outcomes where outcome.isBad {
            Issue.record(
                "\(outcome.role.rawValue) \(outcome.name): \(outcome.verdict) \(outcome.trace.joined(separator: "\n"))")
        }
        let text = try String(contentsOfFile: "\(Checkout.cases)/lockstep.coverage", encoding: .utf8)
        #expect(try ExpectedCoverage(parsing: text).differences(outcomes, isWhole: true) == [])
    }

    @Test func everyMutantIsCaught() async throws {
        let library = try CaseLibrary(folder: Checkout.cases)
        let trials = try MutantTrial.load(folder: Checkout.cases)
        #expect(Set(trials.map(\.mutant)) == Set(Mutant.allCases).subtracting([.none]))
        let results = try await MutantTrial.run(trials, library: library, peer: Checkout.peer) { _ in }
        for result in results where !result.isCaught { Issue.record("\(result.line)") }
    }
}

/// Where the peer's program and the cases are.
enum Checkout {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let cases = root.appending(path: "Tests/Contract/Cases").path

    /// Beside the test bundle: `make build` makes both.
    static var peer: String {
        get throws {
            let path = Bundle.main.bundleURL.appending(path: "lockstep-peer").path
            try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not there")
            return path
        }
    }
}
