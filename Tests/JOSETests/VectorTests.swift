import Foundation
import JOSE
import LibCrypto
import Testing

@Suite struct VectorTests {
    /// RFC 8037 appendix A.4 and A.5: the signature, to the byte, and its verification.
    @Test func rfc8037() throws {
        let file = try vector("rfc8037_ed25519_jws")
        let input = try #require(file["input"] as? [String: Any])
        let jwk = try #require(input["key"] as? [String: String])
        let payload = Array(try #require(input["payload"] as? String).utf8)
        let compact = try #require((file["output"] as? [String: Any])?["compact"] as? String)
        let key = try Ed25519.PrivateKey(rawRepresentation: #require(Base64URL.decode(jwk["d"] ?? "")))
        #expect(Base64URL.encode(key.publicKey.rawRepresentation) == jwk["x"])
        #expect(try JWS.sign(payload, type: nil, kid: nil, with: key) == compact)
        #expect(try JWS.verify(compact, type: nil) { _ in .ed25519(key.publicKey) } == payload)
        print("vectors: RFC 8037 Ed25519 JWS: ran 1, skipped 0")
    }

    /// Tokens that PyJWT made verify here; and since Ed25519 has one signature for one input, ours have its bytes.
    @Test func pyJWT() throws {
        let file = try vector("pyjwt_eddsa")
        let key = try Ed25519.PrivateKey(
            rawRepresentation: #require(Base64URL.decode(file["seed"] as? String ?? "")))
        #expect(Base64URL.encode(key.publicKey.rawRepresentation) == file["x"] as? String)
        let verifier = TokenVerifier(
            keys: try JWKSet([JWK(kid: "k1", publicKey: key.publicKey)]), type: .accessToken,
            issuer: Fixture.issuer, audience: Fixture.audience)
        let tokens = try #require(file["tokens"] as? [[String: String]])
        for token in tokens.compactMap({ $0["token"] }) {
            #expect(try verifier.verify(token, now: Fixture.now).id == "j1")
            let payload = try #require(Base64URL.decode(token.split(separator: ".")[1]))
            #expect(try JWS.sign(payload, type: .accessToken, kid: "k1", with: key) == token)
        }
        print("vectors: PyJWT EdDSA tokens: ran \(tokens.count), skipped 0")
        #expect(tokens.count == 5)
    }

    /// The RFC 7520 examples of other algorithms are whole and right, and refused: the algorithm is pinned.
    @Test(arguments: ["rfc7520_4_3_ecdsa_jws", "rfc7520_4_4_hmac_jws"])
    func otherAlgorithmsAreRefused(_ name: String) throws {
        let compact = try #require((vector(name)["output"] as? [String: Any])?["compact"] as? String)
        let key = try Ed25519.PrivateKey().publicKey
        #expect(throws: JOSEError.wrongAlgorithm) { try JWS.verify(compact, type: nil) { _ in .ed25519(key) } }
        print("vectors: \(name): ran 1 (as a refusal), skipped 0")
    }
}
