/// What a token says (RFC 7519 section 4.1, RFC 9068 section 2.2). Times are whole seconds since 1970, UTC.
package struct Claims: Equatable, Sendable {
    /// `iss`
    package var issuer: String
    /// `sub`
    package var subject: String
    /// `aud`; one name is written as a string, several as an array.
    package var audience: [String]
    /// `exp`: the token is dead from this second on.
    package var expiresAt: Int64
    /// `nbf`
    package var notBefore: Int64?
    /// `iat`
    package var issuedAt: Int64
    /// `jti`
    package var id: String
    /// `sid`
    package var session: String?
    /// `roles`
    package var roles: [String]
    /// `lane`: the priority at which the user's calls run.
    package var lane: String?
    /// `amr`: how the subject was authenticated, in the words of RFC 8176.
    package var methods: [String]
    /// `acr`: how well (OpenID Connect Core 1.0, section 2).
    package var level: String?
    /// `auth_time`: when (the same section).
    package var authenticatedAt: Int64?
    /// `client_id`: the OAuth client that the token was issued to (RFC 9068 section 2.2).
    package var client: String?
    /// `scope`: words with spaces between them (RFC 9068 section 2.2.3).
    package var scope: String?

    package init(
        issuer: String, subject: String, audience: [String], expiresAt: Int64, notBefore: Int64? = nil,
        issuedAt: Int64, id: String, session: String? = nil, roles: [String] = [], lane: String? = nil,
        methods: [String] = [], level: String? = nil, authenticatedAt: Int64? = nil, client: String? = nil,
        scope: String? = nil
    ) {
        self.issuer = issuer
        self.subject = subject
        self.audience = audience
        self.expiresAt = expiresAt
        self.notBefore = notBefore
        self.issuedAt = issuedAt
        self.id = id
        self.session = session
        self.roles = roles
        self.lane = lane
        self.methods = methods
        self.level = level
        self.authenticatedAt = authenticatedAt
        self.client = client
        self.scope = scope
    }
}

extension Claims: Codable {
    private enum CodingKeys: String, CodingKey {
        case issuer = "iss"
        case subject = "sub"
        case audience = "aud"
        case expiresAt = "exp"
        case notBefore = "nbf"
        case issuedAt = "iat"
        case id = "jti"
        case session = "sid"
        case roles, lane, scope
        case methods = "amr"
        case level = "acr"
        case authenticatedAt = "auth_time"
        case client = "client_id"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        issuer = try container.decode(String.self, forKey: .issuer)
        subject = try container.decode(String.self, forKey: .subject)
        audience = try container.decode(Audience.self, forKey: .audience).names
        expiresAt = try container.decode(Int64.self, forKey: .expiresAt)
        notBefore = try container.decodeIfPresent(Int64.self, forKey: .notBefore)
        issuedAt = try container.decode(Int64.self, forKey: .issuedAt)
        id = try container.decode(String.self, forKey: .id)
        session = try container.decodeIfPresent(String.self, forKey: .session)
        roles = try container.decodeIfPresent([String].self, forKey: .roles) ?? []
        lane = try container.decodeIfPresent(String.self, forKey: .lane)
        methods = try container.decodeIfPresent([String].self, forKey: .methods) ?? []
        level = try container.decodeIfPresent(String.self, forKey: .level)
        authenticatedAt = try container.decodeIfPresent(Int64.self, forKey: .authenticatedAt)
        client = try container.decodeIfPresent(String.self, forKey: .client)
        scope = try container.decodeIfPresent(String.self, forKey: .scope)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(issuer, forKey: .issuer)
        try container.encode(subject, forKey: .subject)
        try container.encode(Audience(names: audience), forKey: .audience)
        try container.encode(expiresAt, forKey: .expiresAt)
        try container.encodeIfPresent(notBefore, forKey: .notBefore)
        try container.encode(issuedAt, forKey: .issuedAt)
        try container.encode(id, forKey: .id)
        try container.encodeIfPresent(session, forKey: .session)
        if !roles.isEmpty { try container.encode(roles, forKey: .roles) }
        try container.encodeIfPresent(lane, forKey: .lane)
        if !methods.isEmpty { try container.encode(methods, forKey: .methods) }
        try container.encodeIfPresent(level, forKey: .level)
        try container.encodeIfPresent(authenticatedAt, forKey: .authenticatedAt)
        try container.encodeIfPresent(client, forKey: .client)
        try container.encodeIfPresent(scope, forKey: .scope)
    }
}

/// `aud` in its two forms (RFC 7519 section 4.1.3).
private struct Audience: Codable {
    var names: [String]

    init(names: [String]) { self.names = names }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let name = try? container.decode(String.self) {
            names = [name]
        } else {
            names = try container.decode([String].self)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if names.count == 1 { try container.encode(names[0]) } else { try container.encode(names) }
    }
}
