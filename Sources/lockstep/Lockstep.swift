import ArgumentParser

/// The command line.
@main
struct Lockstep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstep",
        abstract: "Run, watch and call the five services.",
        discussion: """
            A first start: `lockstep certs`, then `lockstep up`. Everything is kept in the state directory \
            (.lockstep, or --state, or LOCKSTEP_STATE). Configuration is config.json there, or the file that \
            LOCKSTEP_CONFIG names; LOCKSTEP_… variables override it.
            """,
        subcommands: [
            Up.self, Certs.self, Call.self, List.self, Describe.self, Bench.self, Admin.self, ContractCommand.self,
            DatabaseCommand.self, ImportCommand.self, KeysCommand.self, UsersCommand.self, ClientsCommand.self,
            AuditCommand.self,
        ])
}
