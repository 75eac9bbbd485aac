import LibCrypto
import Testing

@Suite struct Ed25519Tests {
    private struct Group: Decodable {
        struct Key: Decodable { var pk: String }
        struct Vector: Decodable {
            var tcId: Int
            var msg: String
            var sig: String
            var result: Expectation
        }
        var publicKey: Key
        var tests: [Vector]
    }

    @Test("RFC 8032, Wycheproof: Ed25519")
    func wycheproof() throws {
        let file = try Wycheproof<Group>.load("ed25519_test")
        var tally = Tally(name: "Wycheproof Ed25519")
        for group in file.testGroups {
            let key = try Ed25519.PublicKey(rawRepresentation: hex(group.publicKey.pk))
            for vector in group.tests {
                let valid = try key.isValidSignature(hex(vector.sig), for: hex(vector.msg))
                #expect(valid == (vector.result == .valid), "tcId \(vector.tcId)")
                tally.ran += 1
            }
        }
        tally.report()
        #expect(tally.ran == file.numberOfTests)
    }

    /// RFC 8032 section 7.1, TEST 3.
    @Test func signsAsTheRFC() throws {
        let key = try Ed25519.PrivateKey(
            rawRepresentation: hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
        #expect(
            Hex.encode(key.publicKey.rawRepresentation)
                == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
        #expect(
            Hex.encode(try key.signature(for: hex("af82")))
                == "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
    }

    @Test func roundTrip() throws {
        let key = try Ed25519.PrivateKey()
        let same = try Ed25519.PrivateKey(rawRepresentation: key.rawRepresentation())
        let signature = try key.signature(for: [UInt8]())
        #expect(same.publicKey.isValidSignature(signature, for: [UInt8]()))
        #expect(!same.publicKey.isValidSignature(signature, for: [0]))
        #expect(!same.publicKey.isValidSignature(signature.dropLast(), for: [UInt8]()))
        #expect(try !Ed25519.PrivateKey().publicKey.isValidSignature(signature, for: [UInt8]()))
    }

    /// The group order L added to S gives the same equation modulo L: a second text of the same signature.
    @Test("RFC 8032 5.1.7: S of L and more is refused") func aSecondTextOfASignatureIsRefused() throws {
        let order = try hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        let key = try Ed25519.PrivateKey()
        var signature = try key.signature(for: [1])
        var carry = 0
        for index in 0..<32 {
            carry += Int(signature[32 + index]) + Int(order[index])
            signature[32 + index] = UInt8(carry & 255)
            carry >>= 8
        }
        #expect(!key.publicKey.isValidSignature(signature, for: [1]))
    }

    @Test("RFC 8032 5.1.3: points of small order are refused", arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "00", "",
    ])
    func aKeyOfSmallOrderOrLengthIsRefused(_ text: String) throws {
        #expect(throws: CryptoError.invalidKey) { try Ed25519.PublicKey(rawRepresentation: hex(text)) }
    }

    @Test func pem() throws {
        let text = """
            -----BEGIN PRIVATE KEY-----
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
            -----END PRIVATE KEY-----
            """
        // RFC 8410 section 10.3.
        let key = try Ed25519.PrivateKey(pem: text)
        #expect(Base64URL.encode(key.publicKey.rawRepresentation) == "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE")
        #expect(throws: CryptoError.invalidKey) { try Ed25519.PrivateKey(pem: "-----BEGIN PRIVATE KEY-----\nAAAA\n") }
        #expect(throws: CryptoError.invalidKey) { try Ed25519.PrivateKey(pem: "") }
    }
}
