import JOSE
import LibCrypto
import Testing

/// Tokens as an attacker makes them, each signed rightly unless the attack is on the signature (RFC 8725).
@Suite struct AttackTests {
    private func refuse(_ token: String, _ fixture: Fixture) -> JOSEError? {
        do {
            _ = try fixture.verifier.verify(token, now: Fixture.now)
            return nil
        } catch {
            return error
        }
    }

    @Test func theForgeMakesGoodTokens() throws {
        let fixture = try Fixture()
        #expect(try fixture.verifier.verify(fixture.forge(), now: Fixture.now).subject == "usr_1")
    }

    @Test("ASVS 9.1.2, 9.2.2, RFC 7515 4.1.11: none, HS/RS, typ, crit and kid", arguments: [
        (#"{"alg":"none","kid":"k1","typ":"at+jwt"}"#, JOSEError.wrongAlgorithm),
        (#"{"alg":"None","kid":"k1","typ":"at+jwt"}"#, .wrongAlgorithm),
        (#"{"alg":"HS256","kid":"k1","typ":"at+jwt"}"#, .wrongAlgorithm),
        (#"{"alg":"eddsa","kid":"k1","typ":"at+jwt"}"#, .wrongAlgorithm),
        (#"{"alg":"EdDSA ","kid":"k1","typ":"at+jwt"}"#, .wrongAlgorithm),
        (#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, .wrongAlgorithm),
        (#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#, .wrongType),
        (#"{"alg":"EdDSA","kid":"k1","typ":"lockstep-id+jwt"}"#, .wrongType),
        (#"{"alg":"EdDSA","kid":"k1"}"#, .wrongType),
        (#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","crit":["exp"]}"#, .criticalExtension),
        (#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","crit":[]}"#, .criticalExtension),
        (#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","crit":"b64","b64":false}"#, .criticalExtension),
        (#"{"alg":"EdDSA","kid":"../../../dev/null","typ":"at+jwt"}"#, .unknownKey("../../../dev/null")),
        (#"{"alg":"EdDSA","kid":"' OR 1=1 --","typ":"at+jwt"}"#, .unknownKey("' OR 1=1 --")),
        (#"{"alg":"EdDSA","kid":"K1","typ":"at+jwt"}"#, .unknownKey("K1")),
        (#"{"alg":"EdDSA","kid":"","typ":"at+jwt"}"#, .unknownKey("")),
    ])
    func headers(_ header: String, _ expected: JOSEError) throws {
        let fixture = try Fixture()
        #expect(refuse(try fixture.forge(header: header), fixture) == expected)
    }

    @Test("RFC 8725 2.4, RFC 7515 4: a member twice, and what is no header", arguments: [
        #"{"alg":"none","alg":"EdDSA","kid":"k1","typ":"at+jwt"}"#,
        #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","typ":"at+jwt"}"#,
        #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","\u0061lg":"none"}"#,
        #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","jwk":{"x":1,"x":2}}"#,
        #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt","a":[[],{"b":1,"c":"}","b":2}]}"#,
        #"{"alg":"EdDSA","typ":"at+jwt"}"#,
        #"{"alg":7,"kid":"k1","typ":"at+jwt"}"#,
        #"{"alg":["EdDSA"],"kid":"k1","typ":"at+jwt"}"#,
        #"{"alg":"EdDSA","kid":1,"typ":"at+jwt"}"#,
        #"["EdDSA"]"#, #""EdDSA""#, "null", "", "{", #"{"alg":"EdDSA"}}"#, #"{'alg':'EdDSA'}"#,
        " {\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"at+jwt\0\"}",
    ])
    func malformedHeaders(_ header: String) throws {
        let fixture = try Fixture()
        guard case .malformed? = refuse(try fixture.forge(header: header), fixture) else {
            Issue.record("not refused as malformed: \(header)")
            return
        }
    }

    /// Members of one name in different objects are no duplicates, nor are names inside of strings.
    @Test func nestedNamesAreNoDuplicates() throws {
        let fixture = try Fixture()
        let nested = #""a":{"alg":1,"b":[{"alg":2},{"alg":3}]},"c":"\"alg\":""#
        let header = #"{"alg":"EdDSA","kid":"k1","typ":"at+jwt",\#(nested)}"#
        #expect(refuse(try fixture.forge(header: header), fixture) == nil)
    }

    /// Keys that come with the token are not looked at: a token signed by another key stays badly signed.
    @Test("ASVS 9.1.3, RFC 8725 3.10: jku, x5u and jwk are ignored") func keysInTheTokenAreIgnored() throws {
        let fixture = try Fixture()
        let evil = try Ed25519.PrivateKey()
        let x = Base64URL.encode(evil.publicKey.rawRepresentation)
        let header = """
            {"alg":"EdDSA","kid":"k1","typ":"at+jwt","jku":"https://evil.example/jwks","x5u":"file:///etc/passwd",\
            "jwk":{"kty":"OKP","crv":"Ed25519","x":"\(x)"}}
            """
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(Fixture.payload().utf8))
        let forged = input + "." + Base64URL.encode(try evil.signature(for: Array(input.utf8)))
        #expect(refuse(forged, fixture) == .badSignature)
        #expect(refuse(try fixture.forge(header: header), fixture) == nil)
    }

    /// HS256 keyed with the public key: what verifiers that take the algorithm from the token accept.
    @Test("RFC 8725 3.1: HMAC with the public key is no signature") func hmacWithThePublicKey() throws {
        let fixture = try Fixture()
        for alg in ["HS256", "EdDSA"] {
            let header = #"{"alg":"\#(alg)","kid":"k1","typ":"at+jwt"}"#
            let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(Fixture.payload().utf8))
            let tag = try HMACSHA256.authenticate(
                Array(input.utf8), key: fixture.key.publicKey.rawRepresentation)
            let error = refuse(input + "." + Base64URL.encode(tag), fixture)
            #expect(error == (alg == "EdDSA" ? .badSignature : .wrongAlgorithm))
        }
    }

    @Test("ASVS 9.2.1, 9.2.3: exp, nbf, iat, iss and aud", arguments: [
        (Fixture.payload(exp: "1799999995"), JOSEError.expired),
        (Fixture.payload(exp: "0"), .expired),
        (Fixture.payload(exp: "-9223372036854775808"), .expired),
        (Fixture.payload(nbf: "1800000006"), .notYetValid),
        (Fixture.payload(iat: "1800000006"), .notYetValid),
        (Fixture.payload(nbf: "9223372036854775807"), .notYetValid),
        (Fixture.payload(iss: #""https://evil.example""#), .wrongIssuer),
        (Fixture.payload(iss: #""https://lockstep.local/""#), .wrongIssuer),
        (Fixture.payload(aud: #""other""#), .wrongAudience),
        (Fixture.payload(aud: "[]"), .wrongAudience),
        (Fixture.payload(aud: #"["other","Lockstep"]"#), .wrongAudience),
    ])
    func claims(_ payload: String, _ expected: JOSEError) throws {
        let fixture = try Fixture()
        #expect(refuse(try fixture.forge(payload: payload), fixture) == expected)
    }

    @Test(arguments: [
        Fixture.payload(extra: #","exp":9999999999"#),
        Fixture.payload(extra: #","s\u0075b":"usr_2""#),
        Fixture.payload(exp: #""1800000900""#),
        Fixture.payload(exp: "1800000900.5"),
        Fixture.payload(exp: "1e300"),
        Fixture.payload(exp: "true"),
        Fixture.payload(exp: "null"),
        Fixture.payload(iss: "null"),
        Fixture.payload(aud: "{}"),
        Fixture.payload(extra: #","roles":"admin""#),
        Fixture.payload(extra: #","roles":[1]"#),
        "{}", "[]", "", #"{"sub":"usr_1"}"#,
        String(repeating: #"{"a":"#, count: 1000) + "1" + String(repeating: "}", count: 1000),
    ])
    func malformedClaims(_ payload: String) throws {
        let fixture = try Fixture()
        guard case .malformed? = refuse(try fixture.forge(payload: payload), fixture) else {
            Issue.record("not refused as malformed: \(payload.prefix(200))")
            return
        }
    }

    @Test func skewIsBounded() throws {
        let wide = try Fixture(skew: 1_000_000)
        #expect(wide.verifier.skew == TokenVerifier.maximumSkew)
        #expect(try Fixture(skew: -1).verifier.skew == 0)
        let edge = try Fixture(skew: 5)
        #expect(refuse(try edge.forge(payload: Fixture.payload(exp: "1799999996")), edge) == nil)
        #expect(refuse(try edge.forge(payload: Fixture.payload(nbf: "1800000005")), edge) == nil)
    }

    @Test func shapes() throws {
        let fixture = try Fixture()
        let token = try fixture.forge()
        let parts = token.split(separator: ".").map(String.init)
        let bad = [
            "", ".", "..", "...", parts[0], "\(parts[0]).\(parts[1])", "\(token).", ".\(token)", "\(token).x",
            "\(token)=", " \(token)", "\(token)\n", "\(parts[0]).\(parts[1])..\(parts[2])",
            token.replacing("-", with: "+"), String(repeating: "A", count: JWS.maximumCount + 1),
        ]
        for text in bad where text != token {
            guard case .malformed? = refuse(text, fixture) else {
                Issue.record("not refused as malformed: \(text.prefix(40))")
                continue
            }
        }
        #expect(refuse("\(parts[0]).\(parts[1]).", fixture) == .badSignature)
    }

    /// 64 bytes leave four unused bits in the last character: fifteen other texts of the same signature.
    @Test("RFC 4648 3.5: base64url that is not canonical is refused") func nonCanonicalSignatureText() throws {
        let fixture = try Fixture()
        let token = try fixture.forge()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let last = try #require(token.last.flatMap(alphabet.firstIndex(of:)))
        for other in (last / 16 * 16)..<(last / 16 * 16 + 16) where other != last {
            let error = refuse(String(token.dropLast()) + String(alphabet[other]), fixture)
            #expect(error == .malformed("its signature is not canonical base64url"))
        }
    }

    /// S + L verifies the same equation modulo L (RFC 8032 section 5.1.7).
    @Test("RFC 8032 5.1.7: S of L and more is refused") func malleatedSignature() throws {
        let fixture = try Fixture()
        let parts = try fixture.forge().split(separator: ".").map(String.init)
        let order = try #require(Hex.decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"))
        var signature = try #require(Base64URL.decode(parts[2]))
        var carry = 0
        for index in 0..<32 {
            carry += Int(signature[32 + index]) + Int(order[index])
            signature[32 + index] = UInt8(carry & 255)
            carry >>= 8
        }
        #expect(refuse("\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))", fixture) == .badSignature)
    }

    @Test("ASVS 9.1.1: every changed byte of a token is refused")
    func everyFlippedByteIsRefused() throws {
        let fixture = try Fixture()
        let token = Array(try fixture.forge().utf8)
        for index in token.indices {
            var bad = token
            bad[index] = bad[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(refuse(String(decoding: bad, as: UTF8.self), fixture) != nil, "byte \(index)")
        }
    }
}
