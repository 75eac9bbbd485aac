import ArgumentParser
import ContractHarness
import Foundation

/// `lockstep contract run`
struct ContractRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the contract tests against an implementation, or against running services.",
        discussion: """
            An implementation under test is a program that speaks the protocol of Tests/Contract/PROTOCOL.md on \
            standard input and output; it may be server, client or both.

              lockstep contract run --server 'lockstep-peer' --client 'lockstep-peer'
              lockstep contract run --client 'python3 peer.py' --run 'unary/*' --run 'status/*'
              lockstep contract run --service auth --service email

            Ends with 0 when nothing failed, 1 when a case did, one on the known-failing list passed or the coverage is not \
            what its file says, 64 for a bad command, 65 for bad cases, 69 when an implementation does not start or \
            does not speak the protocol.
            """)

    @Option(help: ArgumentHelp("The server under test, as a shell takes it.", valueName: "command"))
    var server: String?

    @Option(help: ArgumentHelp("The client under test, as a shell takes it.", valueName: "command"))
    var client: String?

    @Option(help: ArgumentHelp("A service that runs under `lockstep up`; generic cases alone.", valueName: "name"))
    var service: [String] = []

    @OptionGroup var selection: CaseSelection

    @Option(help: ArgumentHelp("For what is random; printed, so that a run can be repeated.", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("Cases at the same time.", valueName: "number"))
    var jobs = 8

    @Option(help: ArgumentHelp("Cases expected to fail: lines of `server NAME` or `client NAME`.", valueName: "file"))
    var knownFailing: String?

    @Option(
        help: ArgumentHelp(
            "What an implementation is spared: lines of `server NAME` or `client NAME`, and of `runs server NUMBER`. "
                + "Another outcome fails.", valueName: "file"))
    var coverage: String?

    @Option(help: ArgumentHelp("Writes the outcomes as JUnit XML.", valueName: "file"))
    var junit: String?

    @Option(help: ArgumentHelp("Writes the outcomes as JSON.", valueName: "file"))
    var json: String?

    @Flag(help: "Shows what implementations write on standard error.")
    var verbose = false

    @OptionGroup var state: StateOption

    func validate() throws {
        guard server != nil || client != nil || !service.isEmpty else {
            throw ValidationError("Say what to test: --server COMMAND, --client COMMAND or --service NAME.")
        }
        guard (1...64).contains(jobs) else { throw ValidationError("--jobs is \(jobs); it takes 1 to 64.") }
    }

    func run() async throws {
        try await CommandFailure.reported {
            let library = try selection.library()
            let plan = try plan(library)
            let expected = try expectedCoverage()
            StandardError.print("seed \(plan.seed)")
            let run = ContractRun(library: library, plan: plan)
            var outcomes = try await Self.carriedOut { try await run.run() }
            for name in service {
                let target = try ServiceTarget(name, environment: state.environment)
                for listener in target.services {
                    outcomes += try await Self.carriedOut { try await run.run(against: listener) }
                }
            }
            guard !outcomes.isEmpty else {
                throw CommandFailure("No case has such a name; `lockstep contract list` shows them.", status: 64)
            }
            try show(outcomes, seed: plan.seed, expected)
        }
    }

    private func expectedCoverage() throws -> ExpectedCoverage? {
        guard let coverage else { return nil }
        guard let text = try? String(contentsOfFile: coverage, encoding: .utf8) else {
            throw CommandFailure("\(coverage) cannot be read.", status: 66)
        }
        do {
            return try ExpectedCoverage(parsing: text)
        } catch {
            throw CommandFailure("\(coverage): \(error)", status: 65)
        }
    }

    private static func carriedOut(_ body: () async throws -> [CaseOutcome]) async throws -> [CaseOutcome] {
        do {
            return try await body()
        } catch {
            throw CommandFailure("\(error)", status: 69)
        }
    }

    private func plan(_ library: CaseLibrary) throws -> ContractPlan {
        var plan = ContractPlan()
        plan.server = server
        plan.client = client
        plan.patterns = selection.run
        plan.seed = seed ?? UInt64.random(in: 1...999_999_999)
        plan.jobs = jobs
        plan.isVerbose = verbose
        guard let knownFailing else { return plan }
        guard let text = try? String(contentsOfFile: knownFailing, encoding: .utf8) else {
            throw CommandFailure("\(knownFailing) cannot be read.", status: 66)
        }
        do {
            plan.knownFailing = try KnownFailing.parse(text)
        } catch {
            throw CommandFailure("\(knownFailing): \(error)", status: 65)
        }
        let strangers = KnownFailing.strangers(plan.knownFailing, in: library)
        guard strangers.isEmpty else {
            throw CommandFailure("\(knownFailing): there is no case \(strangers.joined(separator: ", ")).", status: 65)
        }
        return plan
    }

    private func show(_ outcomes: [CaseOutcome], seed: UInt64, _ expected: ExpectedCoverage?) throws {
        print(OutcomeTable(outcomes, isColoured: isatty(STDOUT_FILENO) == 1).text)
        let files = OutcomeFiles(outcomes, seed: seed)
        try Self.write(files.junit, to: junit)
        try Self.write(files.json, to: json)
        let isWhole = selection.run.isEmpty || selection.run == ["*"]
        let differences = expected?.differences(outcomes, isWhole: isWhole) ?? []
        for difference in differences { print("COVERAGE \(difference) (\(coverage ?? ""))") }
        if outcomes.contains(where: \.isBad) || !differences.isEmpty { throw ExitCode(1) }
    }

    private static func write(_ text: String, to path: String?) throws {
        guard let path else { return }
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure("\(path) cannot be written: \(error.localizedDescription)", status: 73)
        }
    }
}

/// Which cases.
struct CaseSelection: ParsableArguments {
    @Option(help: ArgumentHelp("The folder with the cases.", valueName: "folder"))
    var cases = "Tests/Contract/Cases"

    @Option(
        help: ArgumentHelp("Only cases with this name; `*` stands for anything. May be repeated.", valueName: "pattern")
    )
    var run: [String] = []

    /// - Throws: `CommandFailure` that names what is wrong in which file.
    func library() throws -> CaseLibrary {
        do {
            return try CaseLibrary(folder: cases)
        } catch {
            throw CommandFailure("\(error)", status: 65)
        }
    }
}

/// `lockstep contract list`
struct ContractListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the contract tests by their number in the catalogue: what covers it in which role, and what does not.")

    @OptionGroup var selection: CaseSelection

    func run() async throws {
        try await CommandFailure.reported {
            let library = try selection.library()
            let catalogue: CaseCatalogue
            do {
                catalogue = try CaseCatalogue(folder: selection.cases)
            } catch {
                throw CommandFailure("\(error)", status: 65)
            }
            print(catalogue.text(library, where: isWanted))
        }
    }

    private func isWanted(_ testCase: ContractCase) -> Bool {
        selection.run.isEmpty || selection.run.contains { NamePattern($0).matches(testCase.name) }
    }
}
