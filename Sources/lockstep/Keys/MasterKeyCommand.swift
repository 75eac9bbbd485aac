import ArgumentParser
import EncryptionService
import ServiceKit

/// `lockstep keys master`
struct MasterKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "master", abstract: "Replace the master key.", subcommands: [Rotate.self])

    /// `lockstep keys master rotate`
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new master key and seal the keyring under it, while services run.",
            discussion: """
                Back up the master key before: backups of the keyring that were made until now open with it alone. The file of \
                encryption.keyring.master_key_file holds both keys meanwhile. Whatever stops this, call it again: it goes on \
                where it ended.

                Processes on other machines need the new key first: use --prepare, copy the file to each of them, call this \
                again without, then copy the file once more.
                """)

        @Flag(help: "Only put the new key beside the present one.")
        var prepare = false

        @OptionGroup var state: StateOption

        func run() async throws {
            try await CommandFailure.reported {
                let location = try EncryptionSettings.operators(state).location
                do {
                    try await rotate(MasterKeyRotation(location), file: location.masterKey)
                } catch let problem as KeyringProblem {
                    throw CommandFailure(problem.description, status: problem.exitStatus)
                }
            }
        }

        private func rotate(_ rotation: MasterKeyRotation, file: String) async throws {
            while true {
                let step = try rotation.next()
                if prepare, step != .add {
                    return print("\(file) holds two keys already. Copy it to the other machines, then go on without --prepare.")
                }
                try await take(step, rotation)
                switch step {
                case .add:
                    print("A new master key stands beside the present one in \(file).")
                    if prepare { return }
                case .promote: print("It is the master key now; the old one is accepted still.")
                case .seal: print("The keyring is sealed under it.")
                case .drop: return print("The old one is gone from \(file). Back up the new one, apart from the keyring.")
                }
            }
        }

        /// A service that has the keyring's file to itself seals it within some seconds.
        private func take(_ step: MasterKeyRotation.Step, _ rotation: MasterKeyRotation) async throws {
            if try rotation.take(step) { return }
            let end = ContinuousClock.now + .seconds(60)
            while try rotation.next() == step {
                guard ContinuousClock.now < end else {
                    throw CommandFailure(
                        "The encryption service has not sealed the keyring under the new master key yet; its log says why. "
                            + "Both keys are accepted. Call this again later.", status: 75)
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
