import ArgumentParser

/// `lockstep contract`: what can be asked of the contract itself, and of those who say that they speak it.
struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract",
        abstract: "Judge changes of the contract, and test implementations of the wire.",
        subcommands: [Diff.self, ContractRunCommand.self, ContractListCommand.self, ContractMutantsCommand.self])
}
