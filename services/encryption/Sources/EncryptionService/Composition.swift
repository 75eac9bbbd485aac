import LibCrypto
package import RPCCore

/// The values of configuration, checked.
package struct EncryptionSettings: Sendable {
    package var location: KeyringLocation
    package var sharing = Sharing()
    package var keys: [KeySpecification]
    package var mayCreate: Bool
    package var policy: KeyPolicy
    package var rounds: Int
    package var minimumPassword: Int
    package var issuer: String
    /// Seconds.
    package var skew: Int64
    /// How long a new signing key is published before it signs, in seconds.
    package var publishLead: Int64
    package var passwords = PasswordSettings()
    package var isFIPSRequired = false
    /// Whether the audit log tells of uses of keys too.
    package var auditsUses = false
    /// Whether the service only starts with the master key's page locked in memory.
    package var isMemoryLockRequired = false

    package init(
        location: KeyringLocation, keys: [KeySpecification], mayCreate: Bool, policy: KeyPolicy, rounds: Int,
        minimumPassword: Int, issuer: String, skew: Int64, publishLead: Int64
    ) {
        self.location = location
        self.keys = keys
        self.mayCreate = mayCreate
        self.policy = policy
        self.rounds = rounds
        self.minimumPassword = minimumPassword
        self.issuer = issuer
        self.skew = skew
        self.publishLead = publishLead
    }
}

/// What counts for passwords beside rounds and length.
package struct PasswordSettings: Sendable {
    package var minimumWithSecondFactor = PasswordStrength.defaultMinimumWithSecondFactor
    /// The product's name and the like.
    package var contextWords: [String] = []
    /// A file of refused passwords.
    package var blocklist: String?
    /// The key of new hashes; nil for no pepper.
    package var pepperKey: String?
    package var formerPepperKeys: [String] = []

    package init() {}
}

extension EncryptionSettings {
    /// The keys that must exist, those of peppers among them.
    ///
    /// - Throws: `StartProblem.pepperIsNoMAC`.
    func wantedKeys() throws(StartProblem) -> [KeySpecification] {
        var wanted = keys
        let current = Set([passwords.pepperKey].compactMap(\.self))
        for name in current.union(passwords.formerPepperKeys).sorted() {
            guard var pepper = KeySpecification(name: name, kind: .mac) else { continue }
            pepper.origin = current.contains(name) ? .pepper : .formerPepper
            if let known = wanted.firstIndex(where: { $0.name == name }) {
                guard wanted[known].kind == .mac else { throw .pepperIsNoMAC(key: name) }
                if pepper.origin == .formerPepper { wanted[known] = pepper }
            } else {
                wanted.append(pepper)
            }
        }
        return wanted
    }
}

/// The service, put together: one function for the process and for tests.
package struct Composition: Sendable {
    /// Its thread runs until `keeper.stop()`.
    package let keeper: KeyringKeeper
    package let handlers: [any SyncServiceHandler]

    /// Opens the keyring and builds the handlers.
    ///
    /// - Throws: `KeyringProblem`, `StartProblem`.
    package static func make(
        _ settings: EncryptionSettings, clock: @escaping MicrosecondClock = systemClock,
        report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> Composition {
        // Before anything else is asked of OpenSSL.
        if settings.isFIPSRequired {
            let signsWithEdDSA = settings.keys.contains { $0.kind == .sign(.edDSA) }
            do { try CryptoProvider.requireFIPS(withEd25519: signsWithEdDSA) } catch { throw StartProblem.fipsMissing(reason: "\(error)") }
        }
        let passwords = settings.passwords
        let blocklist = try passwords.blocklist.map { (path) throws(StartProblem) in try Blocklist(path: path) }
        let keeper = try KeyringKeeper.open(
            settings.location, wanted: settings.wantedKeys(), mayCreate: settings.mayCreate, auditsUses: settings.auditsUses,
            maker: KeyMaker(publishLead: settings.publishLead * 1_000_000), sharing: settings.sharing, clock: clock,
            report: report)
        if !LockedPage.areAllLocked {
            guard !settings.isMemoryLockRequired else {
                keeper.stop()
                throw StartProblem.memoryNotLocked
            }
            report(.memoryNotLocked)
        }
        let vault = Vault(keeper: keeper, policy: settings.policy, clock: clock)
        let administration = KeyAdministration(keeper: keeper, policy: settings.policy, clock: clock)
        let authority = TokenAuthority(
            keeper: keeper, policy: settings.policy, issuer: settings.issuer, skew: settings.skew, clock: clock)
        let pepper = Pepper(keeper: keeper, name: passwords.pepperKey, former: passwords.formerPepperKeys, clock: clock)
        let hasher = PasswordHasher(rounds: settings.rounds, pepper: pepper)
        let strength = PasswordStrength(
            minimum: settings.minimumPassword, minimumWithSecondFactor: passwords.minimumWithSecondFactor,
            contextWords: passwords.contextWords, blocklist: blocklist)
        var facts = ServiceFacts()
        facts.isFIPSRequired = settings.isFIPSRequired
        facts.rounds = hasher.rounds
        facts.pepper = pepper
        return Composition(
            keeper: keeper,
            handlers: [
                EncryptionHandler(vault: vault, administration: administration, facts: facts),
                KeyHandler(administration: administration), PasswordHandler(hasher: hasher, strength: strength, keeper: keeper),
                JWTHandler(authority: authority),
            ])
    }
}
