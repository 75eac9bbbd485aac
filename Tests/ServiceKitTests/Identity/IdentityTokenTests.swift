import DevelopmentCA
import Foundation
import JOSE
import LibCrypto
import RPCCore
import ServiceKit
import Testing
import TestSupport

/// Certificates in a directory that goes with the test.
struct Certificates {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        _ = try DevelopmentCertificates(directory: directory.url.path).ensure()
    }

    func path(_ name: String) -> String { directory.path(name) }
}

@Suite struct IdentityTokenTests {
    let certificates: Certificates
    let clock = ManualWallClock(microseconds: SystemWallClock().microseconds)

    init() throws { certificates = try Certificates() }

    func signer() throws -> IdentityTokenSigner {
        try IdentityTokenSigner(
            certificateFile: certificates.path("certs/gateway-identity.pem"),
            keyFile: certificates.path("certs/gateway-identity.key"), clock: clock)
    }

    func verifier(_ certificate: String = "certs/gateway-identity.pem") throws -> IdentityTokenVerifier {
        try IdentityTokenVerifier(
            certificateFile: certificates.path(certificate), authorityFile: certificates.path("ca.pem"), clock: clock)
    }

    func key() throws -> Ed25519.PrivateKey {
        let pem = try String(contentsOfFile: certificates.path("certs/gateway-identity.key"), encoding: .utf8)
        return try Ed25519.PrivateKey(pem: pem)
    }

    @Test func whatTheGatewaySignedIsWhatServicesSee() throws {
        let token = try signer().sign(
            subject: "usr_1", session: "ses_1", roles: ["admin"], lane: .emergency, lifetime: .seconds(30))
        let user = try verifier().verify(token: token)
        #expect(user.subject == "usr_1")
        #expect(user.sessionID == "ses_1")
        #expect(user.roles == ["admin"])
        #expect(user.lane == .emergency)
        #expect(try #require(user.validUntil) <= .now.advanced(by: .seconds(30)))
    }

    @Test func aLongerLifeIsCut() throws {
        let token = try signer().sign(subject: "usr_1", session: "ses_1", roles: [], lifetime: .seconds(3600))
        #expect(try verifier().verify(token: token).lane == .routine)
        clock.advance(by: .seconds(70))
        #expect(throws: RPCError.self) { try verifier().verify(token: token) }
    }

    enum Attack: CaseIterable {
        case expired, fromTheFuture, tooLong, endsBeforeItBegins, endless, wrongIssuer, wrongAudience, accessToken
        case userIdentityOfAnotherKind, foreignKey, foreignKeyWithOurName, noUser, noSession, changedPayload, noSignature
        case empty, garbage
    }

    @Test(arguments: Attack.allCases)
    func aTokenThatIsNotTheGatewaysIsRefused(attack: Attack) throws {
        let token = try token(for: attack)
        let error = try #require(throws: RPCError.self) { try verifier().verify(token: token) }
        #expect(error.code == .unauthenticated)
        #expect(error.processed == .no)
        #expect(token.isEmpty || !error.message.contains(token))
    }

    @Test func theSameClaimsWithoutAnAttackAreAccepted() throws {
        let token = try sign(claims(), "lockstep-id+jwt", try key())
        #expect(try verifier().verify(token: token).subject == "usr_1")
    }

    private func token(for attack: Attack) throws -> String {
        var claims = claims()
        var (type, key, kid) = ("lockstep-id+jwt", try key(), String?.none)
        switch attack {
        case .expired: (claims.issuedAt, claims.expiresAt) = (claims.issuedAt - 100, claims.issuedAt - 40)
        case .fromTheFuture: (claims.issuedAt, claims.expiresAt) = (claims.issuedAt + 100, claims.issuedAt + 160)
        case .tooLong: claims.expiresAt = claims.issuedAt + 61
        case .endsBeforeItBegins: claims.issuedAt = claims.expiresAt + 1
        case .endless: (claims.issuedAt, claims.expiresAt) = (.min, .max)
        case .wrongIssuer: claims.issuer = "spiffe://lockstep.local/service/auth"
        case .wrongAudience: claims.audience = ["lockstep"]
        case .accessToken: type = "at+jwt"
        case .userIdentityOfAnotherKind: type = "JWT"
        case .foreignKey: key = try Ed25519.PrivateKey()
        case .foreignKeyWithOurName: (key, kid) = (try Ed25519.PrivateKey(), try JWK.thumbprint(of: key.publicKey))
        case .noUser: claims.subject = ""
        case .noSession: claims.session = nil
        case .changedPayload, .noSignature: break
        case .empty: return ""
        case .garbage: return "a.b.c"
        }
        return try damage(sign(claims, type, key, kid: kid), attack)
    }

    private func claims() -> Claims {
        Claims(
            issuer: "spiffe://lockstep.local/service/gateway", subject: "usr_1", audience: ["lockstep-internal"],
            expiresAt: clock.seconds + 60, issuedAt: clock.seconds, id: "1", session: "ses_1", roles: [])
    }

    private func sign(_ claims: Claims, _ type: String, _ key: Ed25519.PrivateKey, kid: String? = nil) throws -> String {
        let name = try kid ?? JWK.thumbprint(of: key.publicKey)
        return try TokenSigner(kid: name, key: key, type: TokenType(rawValue: type)).sign(claims)
    }

    private func damage(_ token: String, _ attack: Attack) throws -> String {
        var parts = token.split(separator: ".").map(String.init)
        switch attack {
        case .changedPayload:
            let payload = String(decoding: try #require(Base64URL.decode(parts[1])), as: UTF8.self)
            parts[1] = Base64URL.encode(Array(payload.replacing("usr_1", with: "usr_2").utf8))
        case .noSignature: parts[2] = ""
        default: break
        }
        return parts.joined(separator: ".")
    }

    // MARK: Keys that cannot be used

    @Test func aCertificateOfAnotherServiceDoesNotSign() throws {
        let error = try #require(throws: IdentityKeyError.self) { try verifier("certs/auth.pem") }
        #expect(error.description.contains("does not name spiffe://lockstep.local/service/gateway"))
    }

    @Test func theGatewaysTLSCertificateDoesNotSign() throws {
        let error = try #require(throws: IdentityKeyError.self) { try verifier("certs/gateway.pem") }
        #expect(error.description.contains("no Ed25519 key"))
    }

    @Test func aCertificateOfAnotherAuthorityIsNotBelieved() throws {
        let others = try Certificates()
        let error = try #require(throws: IdentityKeyError.self) {
            try IdentityTokenVerifier(
                certificateFile: others.path("certs/gateway-identity.pem"), authorityFile: certificates.path("ca.pem"))
        }
        #expect(error.description.contains("was not issued by the authority"))
    }

    @Test func anExpiredCertificateIsNotBelieved() throws {
        clock.advance(by: .seconds(91 * 86_400))
        let error = try #require(throws: IdentityKeyError.self) { try verifier() }
        #expect(error.description.contains("is not valid today"))
    }

    @Test func aKeyThatOthersMayReadIsRefused() throws {
        let path = certificates.path("certs/gateway-identity.key")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let error = try #require(throws: IdentityKeyError.self) { try signer() }
        #expect(error.description.contains("chmod 600"))
    }

    @Test func aMissingFileSaysWhatMakesIt() throws {
        let error = try #require(throws: IdentityKeyError.self) { try verifier("certs/none.pem") }
        #expect(error.description.contains("lockstep certs"))
    }
}
