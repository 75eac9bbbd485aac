import Dispatch
import Foundation
import JOSE
import LibCrypto
import RPCCore
import Synchronization
import Testing

@testable import EncryptionService

@Suite struct TokenAuthorityTests {
    private let parts: Parts
    private let keeper: KeyringKeeper
    private let authority: TokenAuthority
    private let auth: PeerIdentity
    private let gateway: PeerIdentity

    init() throws {
        parts = try Parts()
        keeper = try parts.open(create: true)
        authority = try parts.authority(keeper)
        auth = try service("auth")
        gateway = try service("gateway")
    }

    private func request(lifetime: UInt32 = 0) -> TokenAuthority.Request {
        TokenAuthority.Request(
            subject: "usr_1", audience: "lockstep", session: "ses_1", roles: ["clinician"], lifetime: lifetime)
    }

    private func sign(lifetime: UInt32 = 0) throws -> String {
        try authority.sign(request(lifetime: lifetime), key: "access-token", caller: auth).token
    }

    private func verify(_ token: String) throws -> Claims {
        try authority.verify(token, audience: "lockstep", caller: gateway)
    }

    @Test func roundTrip() throws {
        let signed = try authority.sign(request(), key: "access-token", caller: auth)
        let claims = try verify(signed.token)
        #expect(claims.subject == "usr_1" && claims.session == "ses_1" && claims.roles == ["clinician"])
        #expect(claims.issuer == "https://lockstep.local" && claims.audience == ["lockstep"])
        #expect(claims.issuedAt == 1_800_000_000 && claims.notBefore == 1_800_000_000)
        #expect(claims.expiresAt == 1_800_000_900 && signed.expiresAt == claims.expiresAt)
        #expect(try verify(sign()).id != claims.id)
    }

    /// What any holder of the published document does.
    @Test func thePublishedKeysVerify() throws {
        let document = try authority.publicKeys(caller: gateway).json
        let verifier = TokenVerifier(
            keys: try JWKSet(json: document), type: .accessToken, issuer: "https://lockstep.local",
            audience: "lockstep")
        #expect(try verifier.verify(sign(), now: 1_800_000_000).subject == "usr_1")
    }

    @Test func lifetimes() throws {
        #expect(try verify(sign(lifetime: 60)).expiresAt == 1_800_000_060)
        #expect(try verify(sign(lifetime: 3600)).expiresAt == 1_800_003_600)
        #expect(throws: EncryptionError.lifetime(maximum: 3600)) { try sign(lifetime: 3601) }
        let token = try sign(lifetime: 60)
        parts.clock.advance(seconds: 65)
        let expired = EncryptionError.invalidToken(
            "The token is not accepted: the token has expired.", expired: true)
        #expect(throws: expired) { try verify(token) }
    }

    @Test func onlyTheRightCallers() throws {
        for caller in ["gateway", "token", "email", "operator"] {
            #expect(throws: EncryptionError.denied(caller: caller, key: "access-token", operation: .sign)) {
                try authority.sign(request(), key: "access-token", caller: service(caller))
            }
        }
        for caller in ["token", "email"] {
            #expect(throws: EncryptionError.denied(caller: caller, key: "*", operation: .verify)) {
                try authority.verify(sign(), audience: "lockstep", caller: service(caller))
            }
            #expect(throws: EncryptionError.denied(caller: caller, key: "*", operation: .publish)) {
                try authority.publicKeys(caller: service(caller))
            }
        }
    }

    /// A new key is published before it signs; an old one stays until its last token has ended. No verify ever fails.
    @Test("ASVS 11.2.2: the next key is published before it signs, the last kept until its tokens end")
    func rotation() throws {
        let first = try sign(lifetime: 3600)
        let before = try authority.publicKeys(caller: gateway).keys.map(\.kid)
        _ = try keeper.requestRotation(of: "access-token")
        keeper.stop()
        let published = try authority.publicKeys(caller: gateway).keys.map(\.kid)
        #expect(published.count == 2 && published[0] == before[0])
        #expect(try kid(sign()) == before[0])
        parts.clock.advance(seconds: 299)
        let last = try sign(lifetime: 3600)
        #expect(try kid(last) == before[0])
        parts.clock.advance(seconds: 1)
        #expect(try kid(sign()) == published[1])
        #expect(try verify(first).subject == "usr_1")
        parts.clock.advance(seconds: 3598)
        #expect(try verify(last).subject == "usr_1")
        #expect(try authority.publicKeys(caller: gateway).keys.count == 2)
        parts.clock.advance(seconds: 100)
        #expect(try authority.publicKeys(caller: gateway).keys.map(\.kid) == [published[1]])
        #expect(throws: EncryptionError.self) { try verify(last) }
    }

    @Test("supabase/auth#2821: rotation under load, in which no verification fails", arguments: ["SIGN", "SIGN:ES256"])
    func rotationUnderLoad(_ usage: String) throws {
        let parts = try Parts()
        let events = Events()
        let wanted = ["access-token:\(usage)"].compactMap(KeySpecification.init)
        let keeper = try parts.open(create: true, wanted: wanted, report: events.report)
        let authority = try parts.authority(keeper)
        let (auth, gateway) = (auth, gateway)
        let stop = Atomic(false)
        let verified = Mutex([0, 0])
        let failures = Mutex<[String]>([])
        let (workers, queue) = (DispatchGroup(), DispatchQueue(label: "load", attributes: .concurrent))
        // A gateway that looks at the keys at most once every publish_lead: it must know each key before it signs.
        let cached = Mutex(try authority.publicKeys(caller: gateway))
        for worker in 0..<2 {
            queue.async(group: workers) {
                while !stop.load(ordering: .acquiring) {
                    do {
                        let request = TokenAuthority.Request(
                            subject: "usr_\(worker)", audience: "lockstep", session: nil, roles: [], lifetime: 3600)
                        // Read before the token is made, so that it is no younger than the token.
                        let keys = cached.withLock { $0 }
                        let token = try authority.sign(request, key: "access-token", caller: auth).token
                        _ = try authority.verify(token, audience: "lockstep", caller: gateway)
                        let now = parts.clock.now / 1_000_000
                        let verifier = TokenVerifier(
                            keys: keys, type: .accessToken, issuer: "https://lockstep.local", audience: "lockstep", skew: 60)
                        _ = try verifier.verify(token, now: now)
                        verified.withLock { $0[worker] += 1 }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
            }
        }
        for _ in 0..<20 {
            _ = try keeper.requestRotation(of: "access-token")
            #expect(events.change())
            // The lead passes in steps, and the gateway looks in the middle of it.
            for second in 0..<10 {
                parts.clock.advance(seconds: 30)
                if second == 5 {
                    let keys = try authority.publicKeys(caller: gateway)
                    cached.withLock { $0 = keys }
                }
                // Each worker's, so that none signs with keys in its hand from some steps ago.
                let seen = verified.withLock { $0 }
                func isBehind() -> Bool { verified.withLock { $0[0] < seen[0] + 2 || $0[1] < seen[1] + 2 } }
                while isBehind(), failures.withLock({ $0.isEmpty }) {
                    // The load's own progress is waited for.
                    Thread.sleep(forTimeInterval: 0.0005)
                }
            }
        }
        stop.store(true, ordering: .releasing)
        workers.wait()
        keeper.stop()
        #expect(failures.withLock { $0 } == [])
        #expect(keeper.keyring["access-token"]?.versions.count == 21)
        print("rotation under load (\(usage)): 20 rotations, \(verified.withLock { $0.reduce(0, +) }) tokens signed and verified, 0 failed")
    }

    @Test("RFC 8725 3.1: a key of ES256 signs and verifies with that alone, and is published") func es256() throws {
        let parts = try Parts()
        let keeper = try parts.open(create: true, wanted: ["access-token:SIGN:ES256"].compactMap(KeySpecification.init))
        defer { keeper.stop() }
        let authority = try parts.authority(keeper)
        let token = try authority.sign(request(), key: "access-token", caller: auth).token
        #expect(try authority.verify(token, audience: "lockstep", caller: gateway).subject == "usr_1")
        let header = try #require(Base64URL.decode(token.prefix { $0 != "." }))
        #expect(String(decoding: header, as: UTF8.self).hasPrefix(#"{"alg":"ES256","kid":""#))
        let published = try authority.publicKeys(caller: gateway)
        #expect(try JWKSet(json: published.json) == published && published.keys[0].publicKey.algorithm == .es256)
    }

    private func kid(_ token: String) throws -> String {
        let header = try #require(Base64URL.decode(token.prefix { $0 != "." }))
        let quoted = String(decoding: header, as: UTF8.self).split(separator: "\"")
        return String(try #require(quoted.dropFirst(7).first))
    }

    @Test(arguments: ["", "x", "a.b.c", "e30.e30.AAAA", "eyJhbGciOiJub25lIn0.e30."])
    func notTokens(_ text: String) throws {
        do {
            _ = try verify(text)
            Issue.record("accepted \(text)")
        } catch {
            let error = RPCError.fromHandler(error)
            #expect(error.code == .unauthenticated && error.reason == "invalid_token")
        }
    }

    @Test("ASVS 9.2.4, RFC 8725 3.9: a token for another audience is refused")
    func anotherAudience() throws {
        #expect(throws: EncryptionError.self) {
            try authority.verify(sign(), audience: "other", caller: gateway)
        }
    }

    /// One key under two names, as an earlier release took it: it is published once, and verifies.
    @Test func aKeyOfTwoNamesIsOneKey() throws {
        let clock = TestClock()
        let maker = KeyMaker(publishLead: 0)
        let specification = try #require(KeySpecification("access-token:SIGN"))
        let key = try #require(try maker.first(specification, now: clock.now))
        let twin = try #require(NamedKey(name: "twin", kind: key.kind, versions: key.versions))
        let keeper = KeyringKeeper(
            Keyring(generation: 1, keys: [key, twin]), maker: maker, clock: clock.read, report: { _ in }, save: { _ in })
        let policy = try KeyPolicy(json: #"{"gateway": {"*": ["SIGN", "VERIFY", "JWKS"]}}"#)
        let authority = TokenAuthority(keeper: keeper, policy: policy, issuer: "i", skew: 5, clock: clock.read)
        let caller = try service("gateway")
        #expect(try authority.publicKeys(caller: caller).keys.count == 1)
        let request = TokenAuthority.Request(subject: "u", audience: "a", session: nil, roles: [], lifetime: 60)
        let token = try authority.sign(request, key: "twin", caller: caller).token
        #expect(try authority.verify(token, audience: "a", caller: caller).subject == "u")
    }

    @Test func aKeyIsNotImportedUnderASecondName() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        defer { keeper.stop() }
        let known = try #require(keeper.keyring["access-token"]?.versions[0].material)
        func bring(_ name: String, _ material: KeyMaterial) throws {
            try keeper.request(.importKey(material, KeyOptions(isImported: true), KeySettings()), of: name, by: KeyActor(name: "operator"))
        }
        #expect(throws: EncryptionError.keyHasAnotherName("access-token")) { try bring("twin", known) }
        let maker = KeyMaker(publishLead: 0)
        let other = try maker.material(.sign(.es256), bytes: P256.PrivateKey().pkcs8Representation(), used: 0)
        try bring("first", other)
        #expect(throws: EncryptionError.keyHasAnotherName("first")) { try bring("second", other) }
        #expect(events.change())
        #expect(throws: EncryptionError.keyHasAnotherName("first")) { try bring("second", other) }
        #expect(RPCError.fromHandler(EncryptionError.keyHasAnotherName("first")).code == .alreadyExists)
    }

    @Test func aSealingKeyDoesNotSign() throws {
        let policy = try KeyPolicy(["auth": ["*": [.sign]]])
        let open = TokenAuthority(
            keeper: keeper, policy: policy, issuer: "https://lockstep.local", skew: 5, clock: parts.clock.read)
        #expect(throws: EncryptionError.wrongUsage(key: "token-vault", expected: .sign)) {
            try open.sign(request(), key: "token-vault", caller: auth)
        }
        #expect(throws: EncryptionError.unknownKey("nothing")) {
            try open.sign(request(), key: "nothing", caller: auth)
        }
    }
}
