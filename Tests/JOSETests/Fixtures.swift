import Foundation
import JOSE
import LibCrypto
import Testing

/// One issuer, its key and a verifier, at a fixed time.
struct Fixture {
    static let now: Int64 = 1_800_000_000
    static let issuer = "https://lockstep.local"
    static let audience = "lockstep"

    let key: Ed25519.PrivateKey
    let signer: TokenSigner
    let keys: JWKSet
    let verifier: TokenVerifier

    init(skew: Int64 = 5) throws {
        key = try Ed25519.PrivateKey()
        signer = TokenSigner(kid: "k1", key: key, type: .accessToken)
        keys = try JWKSet([signer.publicKey])
        verifier = TokenVerifier(
            keys: keys, type: .accessToken, issuer: Self.issuer, audience: Self.audience, skew: skew)
    }

    var claims: Claims {
        Claims(
            issuer: Self.issuer, subject: "usr_1", audience: [Self.audience], expiresAt: Self.now + 900,
            notBefore: Self.now, issuedAt: Self.now, id: "jti_1", session: "ses_1", roles: ["clinician"])
    }

    /// A token with any header and payload text, rightly signed: what a broken or evil issuer could make.
    func forge(
        header: String = #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}"#, payload: String? = nil
    ) throws -> String {
        let payload = payload ?? Self.payload()
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(payload.utf8))
        return input + "." + Base64URL.encode(try key.signature(for: Array(input.utf8)))
    }

    /// A good payload with `extra` members, which come last.
    static func payload(
        iss: String = #""https://lockstep.local""#, aud: String = #""lockstep""#, exp: String = "1800000900",
        nbf: String = "1800000000", iat: String = "1800000000", extra: String = ""
    ) -> String {
        #"{"iss":\#(iss),"sub":"usr_1","aud":\#(aud),"exp":\#(exp),"nbf":\#(nbf),"iat":\#(iat),"jti":"j"\#(extra)}"#
    }
}

/// A published vector as a JSON object.
func vector(_ name: String) throws -> [String: Any] {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
    return try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
}
