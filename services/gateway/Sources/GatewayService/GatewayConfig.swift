package import ServiceKit

/// Every key of the gateway beside the shared ones.
package enum GatewayConfig {
    package static let rateLimits = ConfigKey(
        "gateway.rate_limits", default: "on", allowed: "`on`, `off`, or a factor on the contract's limits such as `10`",
        doc: "The contract's rate limits: as they are, scaled, or off for load tests."
    ) { RateScale($0) != nil }

    package static let rateBuckets = ConfigKey(
        "gateway.rate_buckets", default: RateLimiter.defaultCapacity, in: 1024...4_194_304,
        doc: "Clients remembered by the rate limits at once.")

    package static let trustedProxies = ConfigKey(
        "gateway.trusted_proxies", default: [String](), allowed: "IP addresses or CIDR blocks",
        doc: "Proxies whose `X-Forwarded-For` says where a client is. None: the socket's address counts."
    ) { $0.allSatisfy { AddressBlock($0) != nil } }

    package static let requests = ConfigKey(
        "gateway.requests", default: 1024, in: 1...65_536, doc: "Requests under way at once; more are answered 503.")

    package static let connections = ConfigKey(
        "gateway.connections", default: HTTPLimits().connections, in: 1...65_536,
        doc: "Connections at once; more wait to be accepted.")

    package static let handshakeTimeout = ConfigKey(
        "gateway.handshake_timeout", default: HTTPLimits().handshake, in: .milliseconds(100) ... .seconds(60),
        doc: "How long a TLS handshake may take.")

    package static let bodyTimeout = ConfigKey(
        "gateway.body_timeout", default: HTTPLimits().body, in: .milliseconds(100) ... .seconds(300),
        doc: "How long a request's body may take to arrive.")

    package static let idleTimeout = ConfigKey(
        "gateway.idle_timeout", default: HTTPLimits().idle, in: .seconds(1) ... .seconds(3600),
        doc: "How long a connection may stay without a request.")

    package static let headerBytes = ConfigKey(
        "gateway.header_bytes", default: HTTPLimits().headerBytes, in: 1024...262_144,
        doc: "Bytes of a request's header section.")

    package static let keyRefresh = ConfigKey(
        "gateway.key_refresh", default: Duration.seconds(300), in: .seconds(1) ... .seconds(86_400),
        doc: "How often the keys of access tokens are fetched anew.")

    package static let issuer = ConfigKey(
        "gateway.issuer", default: AccessTokens.defaultIssuer,
        doc: "The issuer (`iss`) that access tokens must have: what `encryption.jwt.issuer` says.")

    package static let audience = ConfigKey(
        "gateway.audience", default: AccessTokens.defaultAudience,
        doc: "The audience (`aud`) that access tokens must have: what `auth.audience` says.")

    package static let identityKey = ConfigKey(
        "gateway.identity_key", default: StatePath("certs/gateway-identity.key"),
        doc: "The key that signs who the end user is, Ed25519, PEM, mode 0600.")

    package static let keys: [any ConfigEntry] = [
        rateLimits, rateBuckets, trustedProxies, requests, connections, handshakeTimeout, bodyTimeout, idleTimeout,
        headerBytes, keyRefresh, issuer, audience, identityKey,
        SharedKeys.gatewayOperations,
    ]
    package static let table = ConfigTable(service: "gateway", keys: keys)
}

extension HTTPLimits {
    init(_ configuration: Configuration) throws {
        self.init()
        connections = try configuration[GatewayConfig.connections]
        handshake = try configuration[GatewayConfig.handshakeTimeout]
        body = try configuration[GatewayConfig.bodyTimeout]
        idle = try configuration[GatewayConfig.idleTimeout]
        headerBytes = try configuration[GatewayConfig.headerBytes]
    }
}
