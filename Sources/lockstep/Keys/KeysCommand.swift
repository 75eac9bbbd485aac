import ArgumentParser
import ContractClients
import Contracts
import RPCCore
import ServiceKit

/// `lockstep keys`
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Administer the keys of the encryption service.",
        discussion: """
              lockstep keys                                        # all keys
              lockstep keys create invoices --usage AEAD --rotate-after 90d
              lockstep keys rotate invoices
              lockstep keys configure invoices --min-decryption-version 2
              lockstep keys destroy invoices --days 30             # lockstep keys keep invoices takes it back

            Asks as the operator. Returns when the change is durable and in the audit log; see lockstep audit. Ends with 0, \
            66 for a key that is not there, or as lockstep call does.
            """,
        subcommands: [
            ListKeys.self, DescribeKey.self, CreateKey.self, RotateKey.self, ConfigureKey.self, DisableKey.self, EnableKey.self,
            DestroyKey.self, KeepKey.self, ExportKey.self, ShowWrappingKey.self, ImportKey.self,
            RewrapKey.self, MoveKeyring.self, MasterKeyCommand.self,
        ],
        defaultSubcommand: ListKeys.self)
}

/// Options of every command about keys.
struct KeysOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Whom to ask: encryption, or encryption@host:port.", valueName: "target"))
    var target = ServiceName.encryption.rawValue

    @Option(help: "As whom: a certificate in the state directory.")
    var cert = "operator"

    @Flag(help: "The answer as JSON, one line for each key.")
    var json = false

    @OptionGroup var state: StateOption
}

/// One command: what it asks, and what it prints.
protocol KeyCommand: AsyncParsableCommand {
    var options: KeysOptions { get }
    /// Lines for standard output.
    ///
    /// - Throws: `RPCError`, `CommandFailure`.
    func lines(_ desk: KeyDesk) async throws -> [String]
}

extension KeyCommand {
    func run() async throws {
        try await CommandFailure.reported {
            let settings = try OperatorSettings(environment: options.state.environment)
            let target = try LiveTarget(options.target, settings: settings)
            let answer = try await target.connected(settings, cert: options.cert) { pool throws(RPCError) in
                do {
                    return Result<[String], CommandFailure>.success(try await lines(KeyDesk(channel: pool)))
                } catch let error as RPCError {
                    throw error
                } catch let failure as CommandFailure {
                    return .failure(failure)
                } catch {
                    return .failure(CommandFailure("\(error)"))
                }
            }
            switch answer {
            case .success(let lines): for line in try lines.get() { print(line) }
            case .failure(let error):
                throw CommandFailure(error, from: target, cert: options.cert, lookup: "`lockstep keys` shows them.")
            }
        }
    }

    func shown(_ key: EncryptionDescribeKeyResponse) throws -> [String] {
        options.json ? [try JSONText.line(key)] : KeyText.description(key)
    }
}

/// A duration as one writes it: `90d`, or `never`.
struct RotationAge: ExpressibleByArgument {
    let seconds: UInt64

    init?(argument: String) {
        guard argument != "never" else {
            seconds = 0
            return
        }
        guard let duration = Duration(raw: .text(argument)), duration.components.seconds > 0 else { return nil }
        seconds = UInt64(duration.components.seconds)
    }
}
