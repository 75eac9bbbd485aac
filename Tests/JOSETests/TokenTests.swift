import JOSE
import LibCrypto
import Testing

@Suite struct TokenTests {
    @Test func roundTrip() throws {
        let fixture = try Fixture()
        let token = try fixture.signer.sign(fixture.claims)
        #expect(try fixture.verifier.verify(token, now: Fixture.now) == fixture.claims)
    }

    @Test func severalAudiencesAndNoOptionalClaims() throws {
        let fixture = try Fixture()
        var claims = fixture.claims
        claims.audience = ["other", Fixture.audience]
        claims.notBefore = nil
        claims.session = nil
        claims.roles = []
        let token = try fixture.signer.sign(claims)
        #expect(try fixture.verifier.verify(token, now: Fixture.now) == claims)
    }

    @Test func oneKindOfTokenIsNotAnother() throws {
        let fixture = try Fixture()
        let identity = TokenSigner(kid: "k1", key: fixture.key, type: .userIdentity)
        let token = try identity.sign(fixture.claims)
        #expect(throws: JOSEError.wrongType) { try fixture.verifier.verify(token, now: Fixture.now) }
    }

    @Test(
        "RFC 9068 4: the type is at+jwt, with or without its prefix",
        arguments: ["at+jwt", "AT+JWT", "application/at+jwt"])
    func typeAsTheMediaTypeAllows(_ typ: String) throws {
        let fixture = try Fixture()
        let token = try fixture.forge(header: #"{"alg":"EdDSA","kid":"k1","typ":"\#(typ)"}"#)
        #expect(try fixture.verifier.verify(token, now: Fixture.now).id == "j")
    }

    @Test func aTokenThatNobodyWouldTakeIsNotMade() throws {
        let fixture = try Fixture()
        var claims = fixture.claims
        claims.roles = [String(repeating: "r", count: JWS.maximumCount)]
        #expect(throws: JOSEError.self) { try fixture.signer.sign(claims) }
    }
}

@Suite struct JWKSetTests {
    @Test func roundTrip() throws {
        let keys = try (1...3).map { JWK(kid: "k\($0)", publicKey: try Ed25519.PrivateKey().publicKey) }
        let set = try JWKSet(keys)
        let again = try JWKSet(json: set.json)
        #expect(again == set)
        #expect(again["k2"] == keys[1])
        #expect(again["k4"] == nil)
    }

    @Test func theDocument() throws {
        let key = try Ed25519.PublicKey(
            rawRepresentation: #require(Base64URL.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")))
        let json = try JWKSet([JWK(kid: "k1", publicKey: key)]).json
        #expect(
            String(decoding: json, as: UTF8.self)
                == #"{"keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"k1","kty":"OKP","use":"sig","#
                + #""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)
    }

    /// RFC 8037 appendix A.3.
    @Test func thumbprint() throws {
        let key = try Ed25519.PublicKey(
            rawRepresentation: #require(Base64URL.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")))
        #expect(try JWK.thumbprint(of: key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    }

    @Test func keysOfOtherKindsArePassedOver() throws {
        let rsa = #"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"r"}"#
        let x25519 = #"{"kty":"OKP","crv":"X25519","kid":"x","x":"A"}"#
        #expect(try JWKSet(json: Array(#"{"keys":[\#(rsa),\#(x25519)]}"#.utf8)).keys.isEmpty)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[],"keys":[]}"#,
        #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AAAA"}]}"#,
        #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k"}]}"#,
        #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
    ])
    func refused(_ json: String) {
        #expect(throws: JOSEError.self) { try JWKSet(json: Array(json.utf8)) }
    }

    @Test func twoKeysOfOneName() throws {
        let key = try Ed25519.PrivateKey().publicKey
        #expect(throws: JOSEError.invalidKeySet("two keys have the kid k")) {
            try JWKSet([JWK(kid: "k", publicKey: key), JWK(kid: "k", publicKey: key)])
        }
    }
}
