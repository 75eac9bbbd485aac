import RPCCore
import Synchronization
import Testing

@Suite struct UserTokenCacheTests {
    private final class Verifier: UserIdentityVerifier {
        let calls = Mutex(0)
        let validUntil: MonotonicInstant?

        init(validUntil: MonotonicInstant? = nil) { self.validUntil = validUntil }

        func verify(token: String) throws -> UserIdentity {
            calls.withLock { $0 += 1 }
            guard token != "bad" else { throw RPCError(.internal, "secret details") }
            return UserIdentity(subject: token, sessionID: "s", roles: [], lane: .routine, validUntil: validUntil)
        }
    }

    private let now = MonotonicInstant.now

    @Test("A signature is checked once, until the token ends")
    func expires() throws {
        let verifier = Verifier(validUntil: now.advanced(by: .seconds(60)))
        var cache = UserTokenCache()
        for seconds in [0, 30, 59] {
            let user = try cache.user(of: "usr", verifier: verifier, now: now.advanced(by: .seconds(seconds)))
            #expect(user.subject == "usr")
        }
        #expect(verifier.calls.withLock { $0 } == 1)
        _ = try cache.user(of: "usr", verifier: verifier, now: now.advanced(by: .seconds(60)))
        #expect(verifier.calls.withLock { $0 } == 2)
    }

    @Test("Without a known end it is believed for a short while only")
    func unknownEnd() throws {
        let verifier = Verifier()
        var cache = UserTokenCache()
        _ = try cache.user(of: "usr", verifier: verifier, now: now)
        _ = try cache.user(of: "usr", verifier: verifier, now: now.advanced(by: UserTokenCache.maximumAge))
        #expect(verifier.calls.withLock { $0 } == 2)
    }

    @Test("It is bounded")
    func bounded() throws {
        var cache = UserTokenCache()
        for index in 0..<10_000 { _ = try cache.user(of: "\(index)", verifier: Verifier(), now: now) }
        #expect(cache.count <= UserTokenCache.capacity)
    }

    @Test("Whatever is wrong with a token, callers see one error")
    func bad() throws {
        var cache = UserTokenCache()
        let error = #expect(throws: RPCError.self) { try cache.user(of: "bad", verifier: Verifier(), now: now) }
        #expect(error?.code == .unauthenticated)
        #expect(error?.processed == .no)
        #expect(error?.message.contains("secret") == false)
        #expect(cache.count == 0)
    }
}
