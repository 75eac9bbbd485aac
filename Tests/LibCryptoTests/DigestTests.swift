import LibCrypto
import Testing

@Suite struct DigestTests {
    private struct MacGroup: Decodable {
        struct Vector: Decodable {
            var tcId: Int
            var key: String
            var msg: String
            var tag: String
            var result: Expectation
        }
        var tagSize: Int
        var tests: [Vector]
    }

    @Test func hmacWycheproof() throws {
        let file = try Wycheproof<MacGroup>.load("hmac_sha256_test")
        var tally = Tally(name: "Wycheproof HMAC-SHA-256")
        for group in file.testGroups {
            for vector in group.tests {
                let (key, message, tag) = try (hex(vector.key), hex(vector.msg), hex(vector.tag))
                let whole = try HMACSHA256.authenticate(message, key: key)
                let matches = constantTimeEqual(whole.prefix(group.tagSize / 8), tag)
                #expect(matches == (vector.result == .valid), "tcId \(vector.tcId)")
                // A shortened tag is right by the vector and still no tag of ours.
                let expected = group.tagSize == 256 && vector.result == .valid
                #expect(try HMACSHA256.isValid(tag, for: message, key: key) == expected, "tcId \(vector.tcId)")
                tally.ran += 1
            }
        }
        tally.report()
        #expect(tally.ran == file.numberOfTests)
    }

    private struct HKDFGroup: Decodable {
        struct Vector: Decodable {
            var tcId: Int
            var ikm: String
            var salt: String
            var info: String
            var size: Int
            var okm: String
            var result: Expectation
        }
        var tests: [Vector]
    }

    @Test func hkdfWycheproof() throws {
        let file = try Wycheproof<HKDFGroup>.load("hkdf_sha256_test")
        var tally = Tally(name: "Wycheproof HKDF-SHA-256")
        for vector in file.testGroups.flatMap(\.tests) {
            let (secret, salt, info) = try (hex(vector.ikm), hex(vector.salt), hex(vector.info))
            if vector.result == .valid {
                #expect(
                    try HKDF.sha256(secret, salt: salt, info: info, count: vector.size) == hex(vector.okm),
                    "tcId \(vector.tcId)")
            } else {
                #expect(throws: CryptoError.limitExceeded, "tcId \(vector.tcId)") {
                    try HKDF.sha256(secret, salt: salt, info: info, count: vector.size)
                }
            }
            tally.ran += 1
        }
        tally.report()
        #expect(tally.ran == file.numberOfTests)
    }

    /// FIPS 180-4 examples.
    @Test func sha256() throws {
        #expect(
            try SHA256.hexHash([UInt8]()) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            try SHA256.hexHash(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("ASVS 11.5.1, 11.5.2: random bytes of the system's generator, bounded")
    func randomBytes() throws {
        #expect(try RandomBytes.generate(0) == [])
        #expect(try RandomBytes.generate(32) != RandomBytes.generate(32))
        #expect(throws: CryptoError.limitExceeded) { try RandomBytes.generate(-1) }
        #expect(throws: CryptoError.limitExceeded) { try RandomBytes.generate(RandomBytes.maximumCount + 1) }
    }
}
