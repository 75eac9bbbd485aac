import Foundation
package import Testing

/// The database that a test runs on. Suites marked `.everyEngine` run each of their tests once on each.
package enum Engine: String, Sendable, CaseIterable {
    case sqlite
    case postgres

    @TaskLocal package static var current = Engine.sqlite

    /// `LOCKSTEP_TEST_ENGINES=postgres` leaves the others out, to see which one a test fails on.
    static var selected: [Engine] {
        let text = ProcessInfo.processInfo.environment["LOCKSTEP_TEST_ENGINES"]
        return text.map { $0.split(separator: ",").compactMap { Engine(rawValue: String($0)) } } ?? allCases
    }

    /// Sorts rows of the same time as they were written.
    package var writingOrder: String { self == .sqlite ? "rowid" : "ctid" }

    /// The URL of a database that nobody has used yet.
    ///
    /// - Parameter path: of the file, where the engine has one.
    package func freshURL(_ path: String) async throws -> String {
        switch self {
        case .sqlite: "sqlite:\(path)"
        case .postgres: try await PostgresServer.shared.freshURL()
        }
    }
}

/// Runs a test once on each engine, with a fresh suite value each time.
package struct EveryEngine: TestTrait, SuiteTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func scopeProvider(for test: Test, testCase: Test.Case?) -> EveryEngine? {
        testCase == nil ? nil : self
    }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        for engine in Engine.selected {
            try await Engine.$current.withValue(engine) { try await function() }
        }
    }
}

extension Trait where Self == EveryEngine {
    package static var everyEngine: EveryEngine { EveryEngine() }
}
