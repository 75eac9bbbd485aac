import RPCCodeGen
import Testing

/// Each rule of the lint has a contract that breaks it. There, `// expect: TEXT` says that the next line of code is
/// refused with an advice that holds TEXT; nothing else may be refused.
@Suite struct LintTests {
    struct Expectation: Hashable, CustomStringConvertible {
        let line: Int
        let advice: String
        var description: String { "\(line): \(advice)" }
    }

    static let fixtures = [
        "adaptive", "bodies", "callers", "collision", "compression", "cookies", "cost", "cost_async",
        "execution", "exposure", "fields", "foreign", "hosting", "lanes", "limits", "mixed", "names", "paths",
        "routes", "streaming", "streaming_async", "syntax",
    ]

    @Test(arguments: fixtures)
    func refusesWhatIsMarkedAndNothingElse(name: String) throws {
        let path = "lint/\(name).proto"
        let diagnostics = try Self.diagnostics([path])
        let expected = try Self.expectations(path)
        #expect(!expected.isEmpty)
        #expect(diagnostics.count == expected.count, "\(diagnostics.map(\.description).joined(separator: "\n"))")
        for (diagnostic, expectation) in zip(diagnostics, expected) {
            #expect(diagnostic.position.file == path)
            #expect(diagnostic.position.line == expectation.line, "\(diagnostic)")
            #expect(diagnostic.description.contains(expectation.advice), "\(diagnostic)\nlacks: \(expectation.advice)")
        }
    }

    @Test func everyFixtureIsTested() throws {
        let names = try Checkout.names(in: "Fixtures/lint", ending: ".proto", below: Checkout.tests)
        #expect(names.map { $0.replacing(".proto", with: "") } == (Self.fixtures + ["twins", "twins_other"]).sorted())
    }

    @Test func refusesTwoServicesOfOneName() throws {
        #expect(try Self.diagnostics(["lint/twins.proto"]).isEmpty)
        let diagnostics = try Self.diagnostics(["lint/twins.proto", "lint/twins_other.proto"])
        let expected = try Self.expectations("lint/twins_other.proto")
        #expect(diagnostics.map(\.position.line) == expected.map(\.line))
        #expect(diagnostics.allSatisfy { $0.advice.contains(expected[0].advice) })
    }

    @Test func saysAllOfItWithPlaceAndAdvice() throws {
        let files = try Descriptors.fixtures("lint", ["lint/cost.proto"])
        let failure = #expect(throws: LintFailure.self) { try Generator.generate(files, Options()) }
        #expect(
            failure?.description == """
                the contract is refused.
                lint/cost.proto:13:5: error: Silent is SYNC and does not say what it costs. \
                Write `cost: INLINE` for microseconds, `cost: POOL` for more.
                lint/cost.proto:18:5: error: Pool has an `inline_limit` without `cost: INLINE`. \
                Leave `inline_limit` out, or write `cost: INLINE`.
                lint/cost.proto:27:5: error: Batch is `in_place`, and nobody would check what the contract says within `items`. \
                Leave `in_place` out, or the rules of what `items` holds.
                """)
    }

    @Test func theHouseObeysItself() throws {
        #expect(throws: Never.self) { try Generator.generate(Descriptors.contract(), Options()) }
    }

    private static func diagnostics(_ paths: [String]) throws -> [Diagnostic] {
        let files = try Descriptors.fixtures("lint", paths)
        try #require(files.count == paths.count)
        do {
            _ = try Generator.generate(files, Options())
            return []
        } catch {
            return error.diagnostics
        }
    }

    /// What the comments of a fixture say, in order.
    private static func expectations(_ path: String) throws -> [Expectation] {
        var expectations: [Expectation] = []
        var pending: [String] = []
        let text = try Checkout.text("Fixtures/\(path)", below: Checkout.tests)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let code = line.trimmingPrefix(while: \.isWhitespace)
            if code.hasPrefix("// expect: ") {
                pending.append(String(code.dropFirst("// expect: ".count)))
            } else {
                expectations += pending.map { Expectation(line: index + 1, advice: $0) }
                pending = []
            }
        }
        return expectations
    }
}
