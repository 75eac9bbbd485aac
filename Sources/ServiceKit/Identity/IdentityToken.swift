import JOSE

/// What signer and verifier agree on of the token by which the gateway says who the end user is.
enum IdentityToken {
    /// `typ` of the header: an access token is never taken for one.
    static let type = TokenType.userIdentity
    static let audience = "lockstep-internal"
    /// The only service that may sign.
    static let issuer = "gateway"
    /// Seconds that a token may live.
    static let maximumLifetime: Int64 = 60
    /// Seconds that clocks may differ.
    static let skew: Int64 = 5
    static let emergencyLane = "emergency"
}
