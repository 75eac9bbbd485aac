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
        #expect(try JWS.verify(compact, type: nil) { _ in key.publicKey } == payload)
        print("vectors: RFC 8037 Ed25519 JWS: ran 1, skipped 0")
    }

    /// The RFC 7520 examples of other algorithms are whole and right, and refused: the algorithm is pinned.
    @Test(arguments: ["rfc7520_4_3_ecdsa_jws", "rfc7520_4_4_hmac_jws"])
    func otherAlgorithmsAreRefused(_ name: String) throws {
        let compact = try #require((vector(name)["output"] as? [String: Any])?["compact"] as? String)
        let key = try Ed25519.PrivateKey().publicKey
        #expect(throws: JOSEError.wrongAlgorithm) { try JWS.verify(compact, type: nil) { _ in key } }
        print("vectors: \(name): ran 1 (as a refusal), skipped 0")
    }
}
