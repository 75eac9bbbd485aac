import ArgumentParser
import ContractHarness
import Foundation

/// `lockstep contract mutants`
struct ContractMutantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants",
        abstract: "Prove that the cases find faults: run them against peers with one planted fault each.",
        discussion: """
            `mutants.json` beside the cases says which cases must find which mutant. They must pass without a fault, \
            through the same filter, and at least one must fail with it. Ends with 0 when every mutant is caught.
            """)

    @Option(help: ArgumentHelp("The peer; it takes `--mutant NAME`.", valueName: "command"))
    var peer: String

    @OptionGroup var selection: CaseSelection

    func run() async throws {
        try await CommandFailure.reported {
            let trials: [MutantTrial]
            do {
                trials = try MutantTrial.load(folder: selection.cases)
            } catch {
                throw CommandFailure("\(error)", status: 65)
            }
            let library = try selection.library()
            let wanted = trials.filter { trial in
                selection.run.isEmpty || selection.run.contains { NamePattern($0).matches(trial.mutant.rawValue) }
            }
            let results = try await MutantTrial.run(wanted, library: library, peer: peer) { print($0.line) }
            let caught = results.filter(\.isCaught).count
            print("\n\(caught) of \(results.count) mutants caught")
            if results.isEmpty || caught < results.count { throw ExitCode(1) }
        }
    }
}
