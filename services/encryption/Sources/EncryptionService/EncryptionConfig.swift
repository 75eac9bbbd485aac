import JOSE
package import ServiceKit

/// The configuration keys of this service.
package enum EncryptionConfig {
    package static let keyring = ConfigKey(
        "encryption.keyring.file", default: StatePath("keyring"), doc: "The sealed keyring.")
    package static let database = ConfigKey(
        "encryption.keyring.database", default: KeyringDatabase.none,
        doc: "A database for keyring and audit log in the place of their files, so that several processes share them.")
    package static let poll = ConfigKey(
        "encryption.keyring.poll", default: Duration.seconds(1), in: .milliseconds(100) ... .seconds(5),
        doc: "How often a process looks into that database.")
    package static let lease = ConfigKey(
        "encryption.keyring.lease", default: Duration.seconds(15), in: .seconds(15) ... .seconds(600),
        doc: "How long a process is waited for that says nothing there.")
    package static let masterKey = ConfigKey(
        "encryption.keyring.master_key_file", default: StatePath("master.key"),
        doc: "The key that seals the keyring: 64 hexadecimal digits, mode 0600.")
    package static let masterKeyDescriptor = ConfigKey(
        "encryption.keyring.master_key_fd", default: -1, in: -1...65_535,
        doc: "A file descriptor that the process is started with and that holds the master key in the place of that file; -1: none.")
    package static let module = ConfigKey(
        "encryption.pkcs11.module", default: "",
        doc: "The library of a PKCS #11 token whose AES key seals the master key. Empty for none.")
    package static let token = ConfigKey("encryption.pkcs11.token", default: "lockstep", doc: "The token's label.")
    package static let tokenKey = ConfigKey("encryption.pkcs11.key", default: "lockstep", doc: "The label of the AES key on it.")
    package static let pinFile = ConfigKey(
        "encryption.pkcs11.pin_file", default: StatePath("pkcs11.pin"), doc: "The file with the user's PIN, mode 0600.")
    package static let pinDescriptor = ConfigKey(
        "encryption.pkcs11.pin_fd", default: -1, in: -1...65_535,
        doc: "A file descriptor that the process is started with and that holds the PIN in the place of that file; -1: none.")
    package static let lockMemory = ConfigKey(
        "encryption.keyring.lock_memory", default: "preferred", oneOf: ["preferred", "required"],
        doc: "`required`: the service starts only when the master key's page can be locked in memory, out of reach of swap.")
    package static let create = ConfigKey(
        "encryption.keyring.create", default: false,
        doc: "Make the keyring, the master key and missing keys at start. Never replaces a file.")
    package static let keys = ConfigKey(
        "encryption.keyring.keys", default: ["token-vault:AEAD", "email-outbox:AEAD", "auth-factors:AEAD", "access-token:SIGN"],
        allowed: "a list of `name:AEAD`, `name:MAC`, `name:SIGN` and `name:SIGN:ES256`, no name twice", doc: "Keys that must exist."
    ) { texts in
        Set(texts.compactMap { KeySpecification($0)?.name }).count == texts.count
    }
    package static let audit = ConfigKey(
        "encryption.audit.file", default: StatePath("key-audit.log"),
        doc: "The log of key administration, hash-chained; mode 0600.")
    package static let uses = ConfigKey(
        "encryption.audit.uses", default: false, doc: "Whether the audit log tells of every use of a key too.")
    package static let beginAfter = ConfigKey(
        "encryption.audit.begin_after", default: 0, in: 0...Int.max,
        doc: "The record of the audit log after which a new file may be begun, when the old one was moved away; 0 for none.")
    package static let policy = ConfigKey(
        "encryption.policy", default: "", allowed: "the text of a JSON object, caller to key to list of operations",
        doc: "The key policy. Empty for the standard policy."
    ) { text in
        text.isEmpty || (try? KeyPolicy(json: text)) != nil
    }
    package static let rounds = ConfigKey(
        "encryption.password.rounds", default: PasswordHasher.defaultRounds, in: PasswordHasher.allowedRounds,
        doc: "bcrypt rounds, as a power of two.")
    package static let minimumPassword = ConfigKey(
        "encryption.password.minimum_length", default: PasswordStrength.defaultMinimum,
        in: PasswordStrength.allowedMinimum, doc: "The fewest characters of a new password.")
    package static let minimumWithSecondFactor = ConfigKey(
        "encryption.password.minimum_length_mfa", default: PasswordStrength.defaultMinimumWithSecondFactor,
        in: PasswordStrength.allowedMinimum,
        doc: "The same where the caller says that the password is used together with a second factor.")
    package static let contextWords = ConfigKey(
        "encryption.password.context_words", default: ["lockstep"],
        doc: "Words that must not make up anybody's password: the product's and the company's names.")
    package static let blocklist = ConfigKey(
        "encryption.password.blocklist_file", default: "", allowed: "a path; relative ones begin in the state directory",
        doc: "A file of refused passwords, one in each line, beside the list that is built in; read at the start, 64 MiB at most."
    ) { !$0.contains("\0") }
    package static let pepper = ConfigKey(
        "encryption.password.pepper_key", default: "", allowed: "empty, or a key's name of 24 characters at most",
        doc: "The key, of usage MAC, that peppers new password hashes. Empty for none."
    ) { $0.isEmpty || isPepper($0) }
    package static let formerPeppers = ConfigKey(
        "encryption.password.former_pepper_keys", default: [String](), allowed: "a list of such names",
        doc: "Keys whose hashes are still verified, and then reported as in need of a rehash."
    ) { $0.allSatisfy(isPepper) }
    private static func isPepper(_ name: String) -> Bool {
        KeyName.isValid(name) && name.utf8.count <= Pepper.maximumNameCount
    }
    package static let fips = ConfigKey(
        "encryption.fips", default: "off", oneOf: ["off", "required"],
        doc: "`required`: the service starts only with OpenSSL's FIPS provider, and uses nothing else of OpenSSL.")
    package static let issuer = ConfigKey(
        "encryption.jwt.issuer", default: "https://lockstep.local",
        doc: "`iss` of access tokens; `gateway.issuer` must say the same.")
    package static let skew = ConfigKey(
        "encryption.jwt.skew", default: Duration.seconds(5), in: .zero ... .seconds(TokenVerifier.maximumSkew),
        doc: "How far clocks may differ.")
    package static let publishLead = ConfigKey(
        "encryption.jwt.publish_lead", default: Duration.seconds(300), in: .zero ... .seconds(86_400),
        doc: "How long a new signing key is published before it signs.")

    package static let entries: [any ConfigEntry] = [
        keyring, database, poll, lease, masterKey, masterKeyDescriptor, lockMemory, create,
        module, token, tokenKey, pinFile, pinDescriptor,
        keys, audit, uses, beginAfter, policy, rounds, minimumPassword,
        minimumWithSecondFactor, contextWords, blocklist, pepper, formerPeppers, fips, issuer, skew, publishLead,
    ]
    package static let table = ConfigTable(service: "encryption", keys: entries, callsOut: false)
}

/// A database, or none.
package struct KeyringDatabase: ConfigValue, Hashable {
    private static let off = "off"
    package static let none = KeyringDatabase(url: nil)

    /// Nil for none.
    package let url: DatabaseURL?

    package static var allowed: String { "\(DatabaseURL.allowed); or `\(off)`" }
    /// A wrong one may hold a password.
    package static var hidesWrongValues: Bool { true }

    private init(url: DatabaseURL?) { self.url = url }

    package init?(raw: RawConfigValue) {
        if case .text(Self.off) = raw {
            self = .none
        } else {
            guard let url = DatabaseURL(raw: raw) else { return nil }
            self.init(url: url)
        }
    }

    package var configText: String { url?.configText ?? Self.off }
}
