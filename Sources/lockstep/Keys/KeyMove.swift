import ArgumentParser
import EncryptionService
import ServiceKit

/// `lockstep keys move`
struct MoveKeyring: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Move the keyring from its file into a database, for several processes.",
        discussion: """
            Stop the encryption service first, and say where to with encryption.keyring.database in config.json, or with \
            LOCKSTEP_ENCRYPTION_KEYRING_DATABASE: no list of processes shows it there. Keyring and audit log are moved, read \
            back and compared; then the file is renamed to keyring.moved. Start the service with the same setting.
            """)

    @OptionGroup var state: StateOption

    func run() async throws {
        try await CommandFailure.reported {
            let settings = try EncryptionSettings.operators(state)
            guard settings.location.database != nil else {
                throw CommandFailure(
                    "encryption.keyring.database (LOCKSTEP_ENCRYPTION_KEYRING_DATABASE) says `off`: say there where to, sqlite:<path> "
                        + "or postgres://user:password@host:5432/name.", status: ExitStatus.configuration)
            }
            do {
                let report = try KeyringMove(settings.location).run(now: systemClock())
                print("\(report.keys) keys with \(report.versions) versions and \(report.records) audit records moved and compared.")
                print("The file is \(report.file) now; destroy it once you have a backup of the database.")
            } catch let problem as KeyringProblem {
                throw CommandFailure(problem.description, status: problem.exitStatus)
            }
        }
    }
}

extension EncryptionSettings {
    /// The service's own configuration, as it would start with it here.
    static func operators(_ state: StateOption) throws -> EncryptionSettings {
        do {
            return try EncryptionSettings(try Configuration.load(EncryptionConfig.table, environment: state.environment))
        } catch {
            throw CommandFailure("\(error)", status: ExitStatus.configuration)
        }
    }
}
