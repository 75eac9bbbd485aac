import ArgumentParser
import Contracts
import Foundation
import RPCCore

struct ListKeys: KeyCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the keys.")

    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        let keys = try await desk.keys.listKeys(EncryptionListKeysRequest(), .question).keys
        return options.json ? try keys.map(JSONText.line) : KeyText.list(keys)
    }
}

struct DescribeKey: KeyCommand {
    static let configuration = CommandConfiguration(commandName: "describe", abstract: "Show a key and its versions.")

    @Argument(help: "The key's name.") var name: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] { try shown(try await desk.describe(name)) }
}

/// What is decided when a key is made.
struct NewKeyOptions: ParsableArguments {
    enum Usage: String, ExpressibleByArgument, CaseIterable {
        case aead = "AEAD"
        case mac = "MAC"
        case sign = "SIGN"
    }

    enum Algorithm: String, ExpressibleByArgument, CaseIterable {
        case edDSA = "EdDSA"
        case es256 = "ES256"
    }

    @Option(help: "AEAD seals (AES-256-GCM), MAC authenticates (HMAC-SHA-256), SIGN signs tokens.") var usage: Usage
    @Option(help: "For SIGN: EdDSA or ES256. Default: EdDSA.") var algorithm: Algorithm?
    @Flag(help: "Its secret may be exported. For good: it cannot be switched on or off later.") var exportable = false
    @Flag(help: "For AEAD: every context has a key of its own. For good.") var derived = false

    var wireUsage: EncryptionDescribeKeyResponse.Usage {
        switch usage {
        case .aead: .aead
        case .mac: .mac
        case .sign: .sign
        }
    }

    /// Whether the key of that name is this one, and not one that somebody else made at the same time.
    func isMade(_ key: EncryptionDescribeKeyResponse) -> Bool {
        key.usage == wireUsage && key.exportable == exportable && key.derived == derived
            && (algorithm == nil || key.algorithm == wireAlgorithm)
    }

    var wireAlgorithm: EncryptionSigningAlgorithm {
        switch algorithm {
        case .edDSA: .eddsa
        case .es256: .es256
        case nil: .unspecified
        }
    }
}

struct CreateKey: KeyCommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a key of random bytes.")

    @Argument(help: "Its name: letters, digits, - and _.") var name: String
    @OptionGroup var new: NewKeyOptions
    @Option(help: ArgumentHelp("Rotate it by itself after this time, such as 90d; a day or more.", valueName: "time"))
    var rotateAfter: RotationAge?
    @Option(help: ArgumentHelp("Rotate it by itself after so many messages.", valueName: "n")) var rotateAfterUses: UInt64?
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        _ = try await desk.changed(name, isDone: new.isMade) { () throws(RPCError) in
            _ = try await desk.keys.createKey(
                .with {
                    $0.keyName = name
                    $0.usage = new.wireUsage
                    $0.algorithm = new.wireAlgorithm
                    $0.exportable = new.exportable
                    $0.derived = new.derived
                    $0.rotateAfterS = rotateAfter?.seconds ?? 0
                    $0.rotateAfterUses = rotateAfterUses ?? 0
                }, .question)
        }
        let key = try await desk.inUse(name)
        guard !options.json else { return try shown(key) }
        return try shown(key) + ["No service may use it before `encryption.policy` says which may do what with it."]
    }
}

struct RotateKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Make the next version of a key.",
        discussion: "Older versions still open what they sealed; Rewrap moves it to the new one.")

    @Argument(help: "The key's name.") var name: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] { try shown(try await desk.rotate(name)) }
}

struct ConfigureKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "configure", abstract: "Change a key's least versions and when it is rotated.")

    @Argument(help: "The key's name.") var name: String
    @Option(help: ArgumentHelp("Refuse what older versions made. Rewrap that first.", valueName: "n"))
    var minDecryptionVersion: UInt32?
    @Option(help: ArgumentHelp("Let nobody ask for an older version to seal with.", valueName: "n"))
    var minEncryptionVersion: UInt32?
    @Option(help: ArgumentHelp("Rotate it by itself after this time, such as 90d, or never.", valueName: "time"))
    var rotateAfter: RotationAge?
    @Option(help: ArgumentHelp("Rotate it by itself after so many messages; 0: at the service's own bound.", valueName: "n"))
    var rotateAfterUses: UInt64?
    @OptionGroup var options: KeysOptions

    func validate() throws {
        guard minDecryptionVersion != nil || minEncryptionVersion != nil || rotateAfter != nil || rotateAfterUses != nil else {
            throw ValidationError("Nothing to change: name an option.")
        }
    }

    private func isDone(_ key: EncryptionDescribeKeyResponse) -> Bool {
        func isSame<Value: Equatable>(_ wanted: Value?, _ value: Value) -> Bool { wanted.map { $0 == value } ?? true }
        return isSame(minDecryptionVersion, key.minDecryptionVersion) && isSame(minEncryptionVersion, key.minEncryptionVersion)
            && isSame(rotateAfter?.seconds, key.rotateAfterS) && isSame(rotateAfterUses, key.rotateAfterUses)
    }

    func lines(_ desk: KeyDesk) async throws -> [String] {
        try shown(
            await desk.changed(name, isDone: isDone) { () throws(RPCError) in
                _ = try await desk.keys.configureKey(
                    .with {
                        $0.keyName = name
                        if let minDecryptionVersion { $0.minDecryptionVersion = minDecryptionVersion }
                        if let minEncryptionVersion { $0.minEncryptionVersion = minEncryptionVersion }
                        if let rotateAfter { $0.rotateAfterS = rotateAfter.seconds }
                        if let rotateAfterUses { $0.rotateAfterUses = rotateAfterUses }
                    }, .question)
            })
    }
}

struct DisableKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Let nothing be done with a key until it is enabled.")

    @Argument(help: "The key's name.") var name: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        try shown(
            await desk.changed(name, isDone: { $0.state == .disabled }) { () throws(RPCError) in
                _ = try await desk.keys.disableKey(.with { $0.keyName = name }, .question)
            })
    }
}

struct EnableKey: KeyCommand {
    static let configuration = CommandConfiguration(commandName: "enable", abstract: "Let a disabled key be used again.")

    @Argument(help: "The key's name.") var name: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        try shown(
            await desk.changed(name, isDone: { $0.state == .enabled }) { () throws(RPCError) in
                _ = try await desk.keys.enableKey(.with { $0.keyName = name }, .question)
            })
    }
}

struct DestroyKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy", abstract: "Have a key destroyed after a waiting period, in which it is unused.",
        discussion: "`lockstep keys keep NAME` takes it back until then. Afterwards all that it sealed is lost.")

    @Argument(help: "The key's name.") var name: String
    @Option(help: ArgumentHelp("The waiting period in days, from 7 to 30.", valueName: "n")) var days: UInt32 = 30
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        let key = try await desk.changed(name, isDone: { $0.state == .pendingDestruction }) { () throws(RPCError) in
            _ = try await desk.keys.scheduleKeyDestruction(
                .with {
                    $0.keyName = name
                    $0.waitingDays = days
                }, .question)
        }
        guard !options.json else { return try shown(key) }
        return [
            "\(name) cannot be used any more and is destroyed at \(KeyText.time(key.destroyAt)).",
            "Until then `lockstep keys keep \(name)` takes it back. Afterwards all that it sealed is lost.",
        ]
    }
}

struct KeepKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep", abstract: "Take back a key's destruction. It is disabled then.")

    @Argument(help: "The key's name.") var name: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        let key = try await desk.changed(name, isDone: { $0.state != .pendingDestruction }) { () throws(RPCError) in
            _ = try await desk.keys.cancelKeyDestruction(.with { $0.keyName = name }, .question)
        }
        return options.json ? try shown(key) : ["\(name) stays. It is disabled; `lockstep keys enable \(name)` lets it be used."]
    }
}

struct ExportKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write the secret of an exportable key to a new file, mode 0600.")

    @Argument(help: "The key's name.") var name: String
    @Option(help: ArgumentHelp("Where to: a file that is not there yet.", valueName: "file")) var out: String
    @Option(help: ArgumentHelp("Which version. Default: the primary one.", valueName: "n")) var version: UInt32 = 0
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        // Before the secret leaves: an export that cannot be kept is none.
        let descriptor = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure("Cannot make \(out): \(String(cString: strerror(errno))).", status: 73) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            let exported = try await desk.patiently { () throws(RPCError) in
                try await desk.keys.exportKey(
                    .with {
                        $0.keyName = name
                        $0.keyVersion = version
                    }, .question)
            }
            try file.write(contentsOf: exported.keyMaterial)
            return ["\(out): version \(exported.keyVersion) of \(name). The audit log says that it left."]
        } catch {
            unlink(out)
            throw error
        }
    }
}

struct ShowWrappingKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "wrapping-key", abstract: "Print the public key under which keys are wrapped for import, PEM.")

    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        let key = try await desk.patiently { () throws(RPCError) in
            try await desk.keys.getWrappingKey(EncryptionGetWrappingKeyRequest(), .question)
        }
        if options.json { return [try JSONText.line(key)] }
        StandardError.print("Good until \(KeyText.time(key.expiresAt)), or until the service restarts.")
        return [key.publicKey.trimmingCharacters(in: .newlines)]
    }
}

struct ImportKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring in a key that was made elsewhere.",
        discussion: """
            The file holds the key wrapped under what `lockstep keys wrapping-key` prints, as PKCS #11 CKM_RSA_AES_KEY_WRAP \
            does it with SHA-256; services/encryption/README.md has the commands of openssl. An imported key is not rotated.
            """)

    @Argument(help: "Its name: letters, digits, - and _.") var name: String
    @OptionGroup var new: NewKeyOptions
    @Option(help: ArgumentHelp("The wrapped key.", valueName: "file")) var wrapped: String
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        guard let bytes = try? Data(contentsOf: URL(filePath: wrapped)) else {
            throw CommandFailure("Cannot read \(wrapped).", status: 66)
        }
        return try shown(
            await desk.changed(name, isDone: { $0.imported && new.isMade($0) }) { () throws(RPCError) in
                _ = try await desk.keys.importKey(
                    .with {
                        $0.keyName = name
                        $0.usage = new.wireUsage
                        $0.algorithm = new.wireAlgorithm
                        $0.exportable = new.exportable
                        $0.derived = new.derived
                        $0.wrappedKey = bytes
                    }, .question)
            })
    }
}
