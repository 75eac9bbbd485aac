import LibCrypto
import Testing

@Suite struct P256Tests {
    private struct Group: Decodable {
        struct Key: Decodable { var uncompressed: String }
        struct Vector: Decodable {
            var tcId: Int
            var msg: String
            var sig: String
            var result: Expectation
        }
        var publicKey: Key
        var tests: [Vector]
    }

    @Test("RFC 7518 3.4, Wycheproof: r and s of 0, of the order and beyond, of other lengths are refused") func wycheproof() throws {
        let file = try Wycheproof<Group>.load("ecdsa_secp256r1_sha256_p1363_test")
        var tally = Tally(name: "Wycheproof ECDSA P-256 SHA-256, r and s")
        for group in file.testGroups {
            let point = try hex(group.publicKey.uncompressed)
            let key = try P256.PublicKey(x: point[1..<33], y: point[33...])
            for vector in group.tests {
                let valid = try key.isValidSignature(hex(vector.sig), for: hex(vector.msg))
                #expect(valid == (vector.result == .valid), "tcId \(vector.tcId)")
                tally.ran += 1
            }
        }
        tally.report()
        #expect(tally.ran == file.numberOfTests)
    }

    @Test func roundTrip() throws {
        let key = try P256.PrivateKey()
        let same = try P256.PrivateKey(pkcs8: key.pkcs8Representation())
        #expect(same.publicKey == key.publicKey)
        let signature = try key.signature(for: [1, 2] as [UInt8])
        #expect(signature.count == 64 && same.publicKey.isValidSignature(signature, for: [1, 2] as [UInt8]))
        #expect(!same.publicKey.isValidSignature(signature, for: [1] as [UInt8]))
        #expect(!same.publicKey.isValidSignature(signature + [0], for: [1, 2] as [UInt8]))
        #expect(try !P256.PrivateKey().publicKey.isValidSignature(signature, for: [1, 2] as [UInt8]))
    }

    /// Leading zeros of r and s are kept: one signature in 128 has some, so both kinds come soon.
    @Test func everySignatureHas64Bytes() throws {
        let key = try P256.PrivateKey()
        var seen: Set<Int> = []
        while seen.count < 3 {
            let signature = try key.signature(for: [1] as [UInt8])
            seen.insert(signature[0] == 0 ? 0 : signature[32] == 0 ? 32 : 64)
            #expect(signature.count == 64 && key.publicKey.isValidSignature(signature, for: [1] as [UInt8]))
        }
    }

    @Test func pointsThatAreNone() throws {
        let good = try P256.PrivateKey().publicKey
        var off = good.y
        off[31] ^= 1
        #expect(throws: CryptoError.invalidKey) { try P256.PublicKey(x: good.x, y: off) }
        #expect(throws: CryptoError.invalidKey) { try P256.PublicKey(x: good.x.dropLast(), y: good.y) }
        #expect(throws: CryptoError.invalidKey) { try P256.PublicKey(x: [UInt8](), y: [UInt8]()) }
        let zero = [UInt8](repeating: 0, count: 32)
        #expect(throws: CryptoError.invalidKey) { try P256.PublicKey(x: zero, y: zero) }
    }

    @Test func keysOfOtherKinds() throws {
        let other = try Ed25519.PrivateKey().pkcs8Representation()
        #expect(throws: CryptoError.invalidKey) { try P256.PrivateKey(pkcs8: other) }
        let key = try P256.PrivateKey().pkcs8Representation()
        #expect(throws: CryptoError.invalidKey) { try Ed25519.PrivateKey(pkcs8: key) }
        #expect(throws: CryptoError.invalidKey) { try P256.PrivateKey(pkcs8: key + [0]) }
        #expect(throws: CryptoError.invalidKey) { try P256.PrivateKey(pkcs8: [UInt8]()) }
        for count in 0..<key.count {
            #expect(throws: CryptoError.invalidKey) { try P256.PrivateKey(pkcs8: key.prefix(count)) }
        }
        let seed = try Ed25519.PrivateKey()
        #expect(try Ed25519.PrivateKey(pkcs8: seed.pkcs8Representation()).publicKey == seed.publicKey)
    }
}
