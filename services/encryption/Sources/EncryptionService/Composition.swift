package import RPCCore

/// The values of configuration, checked.
package struct EncryptionSettings: Sendable {
    package var location: KeyringLocation
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

/// The service, put together: one function for the process and for tests.
package struct Composition: Sendable {
    /// Its thread runs until `keeper.stop()`.
    package let keeper: KeyringKeeper
    package let handlers: [any SyncServiceHandler]

    /// Opens the keyring and builds the handlers.
    ///
    /// - Throws: `KeyringProblem`.
    package static func make(
        _ settings: EncryptionSettings, clock: @escaping MicrosecondClock = systemClock,
        report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> Composition {
        let keeper = try KeyringKeeper.open(
            settings.location, wanted: settings.keys, mayCreate: settings.mayCreate,
            maker: KeyMaker(publishLead: settings.publishLead * 1_000_000), clock: clock, report: report)
        let vault = Vault(keeper: keeper, policy: settings.policy, clock: clock)
        let administration = KeyAdministration(keeper: keeper, policy: settings.policy, clock: clock)
        let authority = TokenAuthority(
            keeper: keeper, policy: settings.policy, issuer: settings.issuer, skew: settings.skew, clock: clock)
        let passwords = PasswordHandler(
            hasher: PasswordHasher(rounds: settings.rounds),
            strength: PasswordStrength(minimum: settings.minimumPassword))
        return Composition(
            keeper: keeper,
            handlers: [
                EncryptionHandler(vault: vault, administration: administration),
                KeyHandler(administration: administration), passwords, JWTHandler(authority: authority),
            ])
    }
}
