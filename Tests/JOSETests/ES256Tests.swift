import Foundation
import JOSE
import LibCrypto
import Testing

/// Both algorithms in one set of keys: each key verifies with its own.
@Suite struct ES256Tests {
    private let edwards: Ed25519.PrivateKey
    private let curve: P256.PrivateKey
    private let verifier: TokenVerifier
    private static let claims = Claims(
        issuer: Fixture.issuer, subject: "usr_1", audience: [Fixture.audience], expiresAt: Fixture.now + 900,
        issuedAt: Fixture.now, id: "j")

    init() throws {
        edwards = try Ed25519.PrivateKey()
        curve = try P256.PrivateKey()
        let keys = try JWKSet([
            JWK(kid: "ed", publicKey: edwards.publicKey), JWK(kid: "es", publicKey: .p256(curve.publicKey)),
        ])
        verifier = TokenVerifier(keys: keys, type: .accessToken, issuer: Fixture.issuer, audience: Fixture.audience)
    }

    /// A token with this header, signed by `key`, whatever the header says.
    private func forge(_ header: String, _ key: SignaturePrivateKey) throws -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(Fixture.payload().utf8))
        return input + "." + Base64URL.encode(try key.signature(for: Array(input.utf8)))
    }

    private func refusal(_ token: String) -> JOSEError? {
        do {
            _ = try verifier.verify(token, now: Fixture.now)
            return nil
        } catch {
            return error
        }
    }

    @Test("RFC 7515 A.3: the example verifies") func theExample() throws {
        let key = try P256.PublicKey(
            x: #require(Base64URL.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")),
            y: #require(Base64URL.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")))
        let token = """
            eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
            .DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q
            """
        let payload = try JWS.verify(token, type: nil) { _ in .p256(key) }
        #expect(String(decoding: payload, as: UTF8.self).hasPrefix(#"{"iss":"joe","#))
        print("vectors: RFC 7515 A.3 ES256: ran 1, skipped 0")
    }

    @Test func roundTrip() throws {
        for (kid, key) in [("ed", SignaturePrivateKey.ed25519(edwards)), ("es", .p256(curve))] {
            let token = try TokenSigner(kid: kid, key: key, type: .accessToken).sign(Self.claims)
            #expect(try verifier.verify(token, now: Fixture.now).subject == "usr_1")
            #expect(refusal(try forge(#"{"alg":"\#(key.algorithm.rawValue)","kid":"\#(kid)","typ":"at+jwt"}"#, key)) == nil)
        }
    }

    @Test("RFC 8725 3.1: the key says the algorithm, not the token") func theAlgorithmIsTheKeys() throws {
        let (ed, es) = (SignaturePrivateKey.ed25519(edwards), SignaturePrivateKey.p256(curve))
        for (alg, kid) in [("ES256", "ed"), ("EdDSA", "es"), ("none", "es"), ("HS256", "es"), ("es256", "es"), ("ES384", "es")] {
            for key in [ed, es] {
                let token = try forge(#"{"alg":"\#(alg)","kid":"\#(kid)","typ":"at+jwt"}"#, key)
                #expect(refusal(token) == .wrongAlgorithm, "\(alg) with \(kid)")
            }
        }
        // The right algorithm, and the other key's signature.
        #expect(refusal(try forge(#"{"alg":"ES256","kid":"es","typ":"at+jwt"}"#, ed)) == .badSignature)
        #expect(refusal(try forge(#"{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}"#, es)) == .badSignature)
    }

    @Test("RFC 8725 3.1: HMAC with the public key's text is no signature") func confusion() throws {
        let pem = Array("\(Base64URL.encode(curve.publicKey.x))".utf8)
        for key in [pem, curve.publicKey.x + curve.publicKey.y, [4] + curve.publicKey.x + curve.publicKey.y] {
            for alg in ["HS256", "ES256"] {
                let input = Base64URL.encode(Array(#"{"alg":"\#(alg)","kid":"es","typ":"at+jwt"}"#.utf8)) + "."
                    + Base64URL.encode(Array(Fixture.payload().utf8))
                let tag = try HMACSHA256.authenticate(Array(input.utf8), key: key)
                for signature in [tag, tag + tag] {
                    #expect(refusal(input + "." + Base64URL.encode(signature)) == (alg == "HS256" ? .wrongAlgorithm : .badSignature))
                }
            }
        }
    }

    /// CVE-2022-21449 and its kin: r or s of 0, of the order, beyond it.
    @Test("RFC 7518 3.4: r and s of 0, n and more are refused", arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ])
    func bounds(_ text: String) throws {
        let token = try forge(#"{"alg":"ES256","kid":"es","typ":"at+jwt"}"#, .p256(curve))
        let parts = token.split(separator: ".").map(String.init)
        let (good, number) = (try #require(Base64URL.decode(parts[2])), try #require(Hex.decode(text)))
        for signature in [number + good.suffix(32), good.prefix(32) + number, number + number] {
            #expect(refusal("\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))") == .badSignature)
        }
    }

    @Test("RFC 7518 3.4: a signature in DER, shortened or longer is refused") func otherForms() throws {
        let token = try forge(#"{"alg":"ES256","kid":"es","typ":"at+jwt"}"#, .p256(curve))
        let parts = token.split(separator: ".").map(String.init)
        let good = try #require(Base64URL.decode(parts[2]))
        let integers = [good.prefix(32), good.suffix(32)].map { [0x02, 0x21, 0x00] + $0 }
        for bad in [[0x30, 0x46] + integers[0] + integers[1], Array(good.dropLast()), good + [0], []] {
            #expect(refusal("\(parts[0]).\(parts[1]).\(Base64URL.encode(bad))") == .badSignature)
        }
    }

    @Test("RFC 7517 5, RFC 7638: the set of both kinds is read back, and other keys are passed over") func document() throws {
        let json = try verifier.keys.json
        #expect(try JWKSet(json: json) == verifier.keys)
        let text = String(decoding: json, as: UTF8.self)
        #expect(text.contains(#""alg":"ES256","crv":"P-256","kid":"es","kty":"EC","use":"sig""#))
        let others = """
            {"keys":[{"kty":"EC","crv":"P-384","x":"AA","y":"AA","kid":"a"},{"kty":"RSA","n":"AA","e":"AQAB","kid":"b"},\
            {"kty":"oct","k":"AA","kid":"c"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"d","use":"enc"},\
            {"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"e","alg":"ECDH-ES"}]}
            """
        #expect(try JWKSet(json: Array(others.utf8)).keys.isEmpty)
        for (x, y) in [("AA", "AA"), (Base64URL.encode(curve.publicKey.x), Base64URL.encode(curve.publicKey.x))] {
            let bad = #"{"keys":[{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)","kid":"a"}]}"#
            #expect(throws: JOSEError.invalidKeySet("x and y of a are no point of P-256")) { try JWKSet(json: Array(bad.utf8)) }
        }
        // RFC 7638 section 3.2: the required members of an elliptic key, in order.
        let (x, y) = (Base64URL.encode(curve.publicKey.x), Base64URL.encode(curve.publicKey.y))
        let canonical = #"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#
        #expect(try JWK.thumbprint(of: .p256(curve.publicKey)) == Base64URL.encode(SHA256.hash(Array(canonical.utf8))))
    }
}
