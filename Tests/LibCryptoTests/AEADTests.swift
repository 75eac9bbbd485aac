import Testing

@testable import LibCrypto

@Suite struct AEADTests {
    private struct Group: Decodable {
        var ivSize: Int
        var keySize: Int
        var tagSize: Int
        var tests: [Vector]
    }

    private struct Vector: Decodable {
        var tcId: Int
        var key: String
        var iv: String
        var aad: String
        var msg: String
        var ct: String
        var tag: String
        var result: Expectation
    }

    @Test("SP 800-38D 8.2, ASVS 11.3.4: 96-bit nonces and 128-bit tags alone") func wycheproof() throws {
        let file = try Wycheproof<Group>.load("aes_gcm_test")
        var tally = Tally(name: "Wycheproof AES-GCM, 256/96/128")
        var refused = Tally(name: "Wycheproof AES-GCM, other key or nonce sizes refused")
        for group in file.testGroups {
            for vector in group.tests {
                if group.keySize == 256, group.ivSize == 96, group.tagSize == 128 {
                    try check(vector)
                    tally.ran += 1
                } else {
                    try checkRefused(vector, group)
                    refused.ran += 1
                }
            }
        }
        tally.report()
        refused.report()
        #expect(tally.ran == 66)
        #expect(tally.ran + refused.ran == file.numberOfTests)
    }

    private func check(_ vector: Vector) throws {
        let key = try SymmetricKey(bytes: hex(vector.key))
        let sealed = try hex(vector.iv) + hex(vector.ct) + hex(vector.tag)
        let opened = try? AEAD.open(sealed, key: key, aad: hex(vector.aad))
        guard vector.result == .valid else {
            #expect(opened == nil, "tcId \(vector.tcId)")
            return
        }
        #expect(try opened == hex(vector.msg), "tcId \(vector.tcId)")
        let again = try AEAD.seal(hex(vector.msg), key: key, nonce: hex(vector.iv), aad: hex(vector.aad))
        #expect(again == sealed, "tcId \(vector.tcId)")
    }

    /// Keys of other sizes have no type here; nonces of other sizes do not open and do not seal.
    private func checkRefused(_ vector: Vector, _ group: Group) throws {
        guard group.keySize == 256 else {
            #expect(throws: CryptoError.invalidKey) { try SymmetricKey(bytes: hex(vector.key)) }
            return
        }
        let key = try SymmetricKey(bytes: hex(vector.key))
        let sealed = try hex(vector.iv) + hex(vector.ct) + hex(vector.tag)
        #expect(throws: CryptoError.authenticationFailed, "tcId \(vector.tcId)") {
            try AEAD.open(sealed, key: key, aad: hex(vector.aad))
        }
        #expect(throws: CryptoError.invalidKey) {
            try AEAD.seal(hex(vector.msg), key: key, nonce: hex(vector.iv), aad: hex(vector.aad))
        }
    }

    @Test func roundTripOfEverySize() throws {
        let key = try SymmetricKey()
        for count in [0, 1, 15, 16, 17, 1000, 1 << 20] {
            let plaintext = try RandomBytes.generate(count)
            let sealed = try AEAD.seal(plaintext, key: key, aad: Array("context".utf8))
            #expect(sealed.count == count + AEAD.overhead)
            #expect(try AEAD.open(sealed, key: key, aad: Array("context".utf8)) == plaintext)
        }
    }

    @Test("ASVS 11.2.5: every flipped bit and every truncation is one error")
    func everyFlippedBitAndEveryTruncationIsOneError() throws {
        let key = try SymmetricKey()
        let sealed = try AEAD.seal(Array("plaintext".utf8), key: key, aad: [1, 2, 3])
        for bit in 0..<(sealed.count * 8) {
            var bad = sealed
            bad[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(bad, key: key, aad: [1, 2, 3]) }
        }
        for count in 0..<sealed.count {
            #expect(throws: CryptoError.authenticationFailed) {
                try AEAD.open(sealed.prefix(count), key: key, aad: [1, 2, 3])
            }
        }
        #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed, key: key, aad: [1, 2]) }
        #expect(throws: CryptoError.authenticationFailed) {
            try AEAD.open(sealed, key: SymmetricKey(), aad: [1, 2, 3])
        }
        #expect(try AEAD.open(sealed, key: key, aad: [1, 2, 3]) == Array("plaintext".utf8))
    }

    @Test("SP 800-38D 8.2.2: nonces differ")
    func noncesDiffer() throws {
        let key = try SymmetricKey()
        let nonces = try (0..<2000).map { _ in
            Array(try AEAD.seal([UInt8](), key: key, aad: [UInt8]()).prefix(AEAD.nonceCount))
        }
        #expect(Set(nonces).count == nonces.count)
    }

    /// Nonces are drawn many at a time: none may serve twice, whatever the number that was drawn at once.
    @Test("SP 800-38D 8.2.2: a stock of nonces gives each once, and starts with one") func stockOfNonces() throws {
        var stock = NonceStock()
        var given: Set<[UInt8]> = []
        for _ in 0..<(5 * NonceStock.most) {
            var nonce = [UInt8](repeating: 0, count: AEAD.nonceCount)
            try nonce.withUnsafeMutableBytes { target in try stock.next(into: target) }
            given.insert(nonce)
        }
        #expect(given.count == 5 * NonceStock.most)
        #expect(!given.contains([UInt8](repeating: 0, count: AEAD.nonceCount)))
    }

    private let none = UnsafeRawBufferPointer(start: nil, count: 0)

    @Test func memoryOfAnotherLengthIsRefused() throws {
        let key = try SymmetricKey()
        let message = Array("plaintext".utf8)
        let sealed = try AEAD.seal(message, key: key, aad: [UInt8]())
        for count in [0, message.count, message.count + AEAD.overhead - 1, message.count + AEAD.overhead + 1] {
            var target = [UInt8](repeating: 0, count: count)
            #expect(throws: CryptoError.limitExceeded) {
                try target.withUnsafeMutableBytes { target in
                    try message.withUnsafeBytes { try AEAD.seal($0, key: key, aad: none, into: target) }
                }
            }
        }
        for count in [0, message.count - 1, message.count + 1] {
            var target = [UInt8](repeating: 0, count: count)
            #expect(throws: CryptoError.authenticationFailed) {
                try target.withUnsafeMutableBytes { target in
                    try sealed.withUnsafeBytes { try AEAD.open($0, key: key, aad: none, into: target) }
                }
            }
        }
    }

    /// What is written before the tag is checked is wiped again.
    @Test("ASVS 11.2.5: nothing of a plaintext is left where it did not open") func nothingIsLeft() throws {
        let key = try SymmetricKey()
        let message = [UInt8](repeating: 7, count: 100)
        var sealed = try AEAD.seal(message, key: key, aad: [UInt8]())
        sealed[sealed.count - 1] ^= 1
        var target = [UInt8](repeating: 9, count: message.count)
        let opened: Bool = target.withUnsafeMutableBytes { target in
            sealed.withUnsafeBytes { (try? AEAD.open($0, key: key, aad: none, into: target)) != nil }
        }
        #expect(!opened)
        #expect(target == [UInt8](repeating: 0, count: message.count))
    }

    @Test func oneKeyServesManyThreads() async throws {
        let key = try SymmetricKey()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<16 {
                group.addTask {
                    for round in 0..<200 {
                        let plaintext = Array("worker \(worker) round \(round)".utf8)
                        let sealed = try AEAD.seal(plaintext, key: key, aad: [UInt8(worker)])
                        #expect(try AEAD.open(sealed, key: key, aad: [UInt8(worker)]) == plaintext)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func aKeyShowsNoBytes() throws {
        let key = try SymmetricKey(bytes: [UInt8](repeating: 0x41, count: 32))
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!"\(key) \(String(reflecting: key)) \(dumped)".contains("65"))
        #expect(Mirror(reflecting: key).children.isEmpty)
    }
}
