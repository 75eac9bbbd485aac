import Foundation
import JOSE
import LibCrypto
import TestSupport
import Testing

/// Tokens exchanged with PyJWT and joserfc, both ways, with keys that are new each time.
@Suite struct ExchangeTests {
    private struct Exchange: Decodable {
        struct Made: Decodable {
            let by: String
            let token: String
        }
        struct Read: Decodable {
            let claims: Claims
            let refusals: Int
        }
        let made: [Made]
        let read: [Read]
    }

    private static let claims = Claims(
        issuer: Fixture.issuer, subject: "usr_1", audience: [Fixture.audience], expiresAt: Fixture.now + 900,
        notBefore: Fixture.now, issuedAt: Fixture.now, id: "jti_1", session: "ses_1", roles: ["clinician"])

    @Test("RFC 7519, RFC 8037, RFC 7518 3.4: PyJWT and joserfc read our tokens, and we read theirs")
    func bothWays() throws {
        let (edwards, curve) = (try Ed25519.PrivateKey(), try P256.PrivateKey())
        let signers: [(String, SignaturePrivateKey)] = [("ed", .ed25519(edwards)), ("es", .p256(curve))]
        let keys = try JWKSet([
            JWK(kid: "ed", publicKey: .ed25519(edwards.publicKey)), JWK(kid: "es", publicKey: .p256(curve.publicKey)),
        ])
        let tokens = try signers.map { try TokenSigner(kid: $0, key: $1, type: .accessToken).sign(Self.claims) }
        let asked: [String: Any] = [
            "claims": try JSONSerialization.jsonObject(with: JSONEncoder().encode(Self.claims)),
            "type": TokenType.accessToken.rawValue, "tokens": tokens,
            "jwks": try JSONSerialization.jsonObject(with: Data(try keys.json)),
        ]
        let script = SupportFiles.path("vectors/exchange.py")
        let input = String(decoding: try JSONSerialization.data(withJSONObject: asked), as: UTF8.self)
        let answer = Data(try Python.run([script, "jwt"], input: input).utf8)
        let exchange = try JSONDecoder().decode(Exchange.self, from: answer)
        #expect(exchange.read.map(\.claims) == [Self.claims, Self.claims])
        #expect(exchange.read.map(\.refusals) == [2, 2])

        let theirs = try #require(JSONSerialization.jsonObject(with: answer) as? [String: Any])
        let verifier = TokenVerifier(
            keys: try JWKSet(json: JSONSerialization.data(withJSONObject: theirs["jwks"] as Any)), type: .accessToken,
            issuer: Fixture.issuer, audience: Fixture.audience)
        #expect(exchange.made.map(\.by) == ["PyJWT", "joserfc", "PyJWT", "joserfc"])
        for made in exchange.made {
            #expect(try verifier.verify(made.token, now: Fixture.now) == Self.claims, "\(made.by)")
        }
        print("vectors: tokens exchanged with PyJWT and joserfc: ran \(exchange.made.count + tokens.count * 2), skipped 0")
    }
}
