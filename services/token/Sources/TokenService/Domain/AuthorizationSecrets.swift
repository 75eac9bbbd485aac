private import LibCrypto
internal import ServiceKit

/// `state`: 256 random bits that bring a callback back to its flow. Only the hash is stored.
struct AuthorizationState: Sendable {
    static let byteCount = 32
    let value: Redacted<String>

    init() throws { value = Redacted(Base64URL.encode(try RandomBytes.generate(Self.byteCount))) }

    /// What the database knows a state by.
    static func hash(_ state: String) throws -> String { try SHA256.hexHash(Array(state.utf8)) }
}

/// 256 random bits in a cookie, which tie a flow to the browser that started it. Only the hash is stored.
struct BrowserSecret: Sendable {
    static let byteCount = 32
    let value: Redacted<String>

    init() throws { value = Redacted(Base64URL.encode(try RandomBytes.generate(Self.byteCount))) }

    /// What a cookie holds; nil when none came.
    init?(cookie: String) {
        guard !cookie.isEmpty else { return nil }
        value = Redacted(cookie)
    }

    /// What the database knows a browser by.
    func hash() throws -> String { try SHA256.hexHash(Array(value.exposed.utf8)) }
}

/// PKCE (RFC 7636) with S256; `plain` does not exist here.
struct CodeVerifier: Sendable {
    /// 32 bytes make 43 characters, the least that the RFC allows and all that 256 bits need.
    static let byteCount = 32
    static let challengeMethod = "S256"
    let value: Redacted<String>

    init() throws { value = Redacted(Base64URL.encode(try RandomBytes.generate(Self.byteCount))) }

    init(value: Redacted<String>) { self.value = value }

    /// RFC 7636, 4.2.
    func challenge() throws -> String {
        Base64URL.encode(try SHA256.hash(Array(value.exposed.utf8)))
    }
}
