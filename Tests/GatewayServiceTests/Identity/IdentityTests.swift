import JOSE
import LibCrypto
import RPCCore
import Synchronization
import Testing

@testable import GatewayService

@Suite struct BearerTokenTests {
    @Test(arguments: [
        ([], BearerToken.none), (["Bearer abc.def-_~+/="], .token("abc.def-_~+/=")), (["bearer x"], .token("x")),
        (["BEARER x"], .token("x")), (["Bearer"], .malformed), (["Bearer "], .malformed), (["Basic x"], .malformed),
        (["Bearer a b"], .malformed), (["Bearer a\"b"], .malformed), (["Bearer é"], .malformed),
        (["Bearer a", "Bearer a"], .malformed), ([""], .malformed),
    ])
    func parses(headers: [String], expected: BearerToken) { #expect(BearerToken(headers: headers) == expected) }

    @Test func aLongTokenIsMalformed() {
        let long = String(repeating: "a", count: BearerToken.maximumLength + 1)
        #expect(BearerToken(headers: ["Bearer \(long)"]) == .malformed)
    }
}

@Suite struct AccessTokenTests {
    static let seconds: Int64 = 1_800_000_000
    let start = ContinuousClock.Instant.now
    let key: Ed25519.PrivateKey
    let fetches = Fetches()

    init() throws { key = try Ed25519.PrivateKey() }

    /// Counts what is fetched, and serves what is set.
    final class Fetches: Sendable {
        private let state = Mutex((count: 0, keys: [JWK]()))
        var count: Int { state.withLock { $0.count } }
        func serve(_ keys: [JWK]) { state.withLock { $0.keys = keys } }
        func fetch() throws -> JWKSet {
            try JWKSet(state.withLock { state in
                state.count += 1
                return state.keys
            })
        }
    }

    func tokens() -> AccessTokens {
        let fetches = fetches
        return AccessTokens(keys: KeySetCache { try fetches.fetch() })
    }

    func sign(
        kid: String = "k1", key: Ed25519.PrivateKey? = nil, type: TokenType = .accessToken,
        issuer: String = AccessTokens.defaultIssuer, audience: String = AccessTokens.defaultAudience, life: Int64 = 900,
        notBefore: Int64? = nil, session: String? = "ses_1"
    ) throws -> String {
        try TokenSigner(kid: kid, key: key ?? self.key, type: type).sign(
            Claims(
                issuer: issuer, subject: "usr_1", audience: [audience], expiresAt: Self.seconds + life,
                notBefore: notBefore, issuedAt: Self.seconds - 1000, id: "j", session: session, roles: ["user"],
                lane: nil))
    }

    @Test func aGoodTokenSaysWho() async throws {
        fetches.serve([JWK(kid: "k1", publicKey: key.publicKey)])
        let grant = try await tokens().verify(try sign(), seconds: Self.seconds, now: start)
        #expect(grant.subject == "usr_1")
        #expect(grant.sessionID == "ses_1")
        #expect(grant.roles == ["user"])
        #expect(fetches.count == 1)
    }

    @Test("ASVS 9.1.1, 9.2.2: every other token is refused")
    func everyOtherTokenIsRefused() async throws {
        fetches.serve([JWK(kid: "k1", publicKey: key.publicKey)])
        let tokens = tokens()
        let foreign = try Ed25519.PrivateKey()
        let good = try sign()
        let bad = [
            try sign(key: foreign), try sign(type: .userIdentity), try sign(issuer: "https://evil.example"),
            try sign(audience: "other"), try sign(notBefore: Self.seconds + 60), try sign(session: nil),
            "x", "a.b.c", String(good.dropLast(4)) + "AAAA", good + ".x",
        ]
        for token in bad {
            await #expect(throws: Problem.invalidToken) {
                try await tokens.verify(token, seconds: Self.seconds, now: start)
            }
        }
        await #expect(throws: Problem.expiredToken) {
            try await tokens.verify(try sign(life: -10), seconds: Self.seconds, now: start)
        }
    }

    @Test func anUnknownKeyIsLookedForOnceInAWhile() async throws {
        fetches.serve([])
        let tokens = tokens()
        let token = try sign(kid: "k2")
        for _ in 0..<5 {
            await #expect(throws: Problem.invalidToken) {
                try await tokens.verify(token, seconds: Self.seconds, now: start)
            }
        }
        #expect(fetches.count == 2)
        fetches.serve([JWK(kid: "k2", publicKey: key.publicKey)])
        let later = start.advanced(by: KeySetState.unknownKeyPause)
        _ = try await tokens.verify(token, seconds: Self.seconds, now: later)
        #expect(fetches.count == 3)
    }

    @Test func withoutKeysNobodyIsLetIn() async throws {
        struct Gone: Error {}
        let tokens = AccessTokens(keys: KeySetCache { throw Gone() })
        await #expect(throws: Problem.cannotCheckToken) {
            try await tokens.verify(try sign(), seconds: Self.seconds, now: start)
        }
    }

    @Test func fetchesAtTheSameTimeAreOne() async throws {
        let gate = AsyncStream.makeStream(of: Void.self)
        let count = Mutex(0)
        let cache = KeySetCache {
            count.withLock { $0 += 1 }
            for await _ in gate.stream { break }
            return try JWKSet([])
        }
        async let first = cache.refresh()
        while count.withLock({ $0 }) == 0 { await Task.yield() }
        // It has joined the first when this returns: the fetch is not over before.
        let second = Task.immediate { try await cache.refresh() }
        gate.continuation.finish()
        _ = try await (first, second.value)
        #expect(count.withLock { $0 } == 1)
    }

    @Test func aFailedFetchKeepsTheOldKeys() async throws {
        struct Gone: Error {}
        let fail = Mutex(false)
        let cache = KeySetCache {
            if fail.withLock({ $0 }) { throw Gone() }
            return try JWKSet([])
        }
        try await cache.refresh()
        fail.withLock { $0 = true }
        await #expect(throws: Gone.self) { try await cache.refresh() }
        #expect(cache.keys != nil)
    }
}

@Suite struct IdentityTokenCacheTests {
    final class CountingSigner: UserTokenSigning {
        private let count = Mutex(0)
        func sign(_ grant: AccessGrant, lane: Lane, lifetime: Duration) throws -> String {
            "\(grant.subject)/\(grant.sessionID)/\(count.withLock { $0 += 1; return $0 })"
        }
    }

    let start = ContinuousClock.Instant.now

    func grant(
        _ subject: String = "u", _ session: String = "s", roles: [String] = [], expires: Int64 = 1
    ) -> AccessGrant {
        AccessGrant(subject: subject, sessionID: session, roles: roles, issuedAt: 0, expiresAt: expires)
    }

    @Test func oneSignatureServesASession() throws {
        let tokens = IdentityTokens(signer: CountingSigner())
        #expect(try tokens.token(for: grant(), lane: .routine, now: start) == "u/s/1")
        let (later, tooLate) = (start.advanced(by: .seconds(29)), start.advanced(by: .seconds(30)))
        #expect(try tokens.token(for: grant(expires: 2), lane: .routine, now: later) == "u/s/1")
        #expect(try tokens.token(for: grant(), lane: .routine, now: tooLate) == "u/s/2")
    }

    @Test func anotherUserOrRightIsAnotherToken() throws {
        let tokens = IdentityTokens(signer: CountingSigner())
        #expect(try tokens.token(for: grant(), lane: .routine, now: start) == "u/s/1")
        #expect(try tokens.token(for: grant("u", "t"), lane: .routine, now: start) == "u/t/2")
        #expect(try tokens.token(for: grant(roles: ["admin"]), lane: .routine, now: start) == "u/s/3")
        #expect(try tokens.token(for: grant("other"), lane: .routine, now: start) == "other/s/4")
        #expect(try tokens.token(for: grant("other"), lane: .emergency, now: start) == "other/s/5")
        #expect(try tokens.token(for: grant("other"), lane: .routine, now: start) == "other/s/4")
    }
}
