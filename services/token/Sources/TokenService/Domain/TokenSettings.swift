/// The numbers that operators may change.
package struct TokenSettings: Sendable {
    /// Names this process among those that share the database.
    package var instance = "token-1"
    /// How long a flow may take from the start to the callback.
    package var stateLifetime: Duration = .seconds(600)
    /// Tokens that end within this are refreshed before they are given out.
    package var refreshMargin: Duration = .seconds(60)
    /// For one request to a provider.
    package var providerTimeout: Duration = .seconds(10)
    /// Connections that one user may have.
    package var connectionsPerUser = 50

    package init() {}
}

/// Limits that follow from how the parts work together.
enum TokenLimits {
    /// Longer than a refresh takes at worst: the request, sealing and committing with their retries.
    static let refreshLease: Duration = .seconds(45)
    /// How long a reader waits for another process's refresh.
    static let waitForOtherProcess: Duration = .seconds(12)
    /// How often it looks.
    static let lookInterval: Duration = .milliseconds(50)
    /// Pause before a provider that failed is asked again, unless it says otherwise.
    static let pauseAfterFailure: Duration = .seconds(5)
    /// Pause after a refusal that is about this client and not about the token.
    static let pauseAfterRefusal: Duration = .seconds(60)
    /// New tokens are worth several attempts to keep them.
    static let keepAttempts = 6
    static let firstKeepPause: Duration = .milliseconds(100)
    /// For one call of Encryption outside a request.
    static let encryptionTimeout: Duration = .seconds(5)
    /// For each token that is revoked while the user waits; the rest is done later.
    static let inlineRevocation: Duration = .seconds(3)
    /// Longer than an exchange takes at worst: the calls of Encryption before and behind it, and the provider.
    static let longestExchange: Duration = .seconds(60)
    static let revocationLease: Duration = .seconds(60)
    static let firstRevocationPause: Duration = .seconds(2)
    static let longestRevocationPause: Duration = .seconds(3600)
    /// After this a revocation is given up: the tokens have ended by themselves, or nobody listens.
    static let revocationAge: Duration = .seconds(7 * 86_400)
    /// How long each read of a token stays in the audit trail.
    static let readAge: Duration = .seconds(90 * 86_400)
    /// How long a deleted connection can be deleted again.
    static let deletedAge: Duration = .seconds(30 * 86_400)
}
