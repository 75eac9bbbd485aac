import ArgumentParser
import ContractHarness
import Glibc

/// Our own implementation as a peer of the contract-test harness: server or client under test (PROTOCOL.md).
@main struct PeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstep-peer",
        abstract: "Lockstep's implementation as a peer under contract test, on standard input and output.")

    @Option(help: ArgumentHelp("Plants a fault, for tests of the cases themselves.", valueName: "name"))
    var mutant: Mutant?

    func run() async throws {
        // The harness may go first.
        signal(SIGPIPE, SIG_IGN)
        let pipe = MessagePipe(input: STDIN_FILENO, output: STDOUT_FILENO)
        try await PeerProgram(pipe: pipe, core: PeerCore(mutant: mutant)).run()
        // Calls under way have nobody left to tell.
        Glibc.exit(0)
    }
}

extension Mutant: ExpressibleByArgument {}
