import LibCrypto
import RPCCore
import Testing

@testable import EncryptionService

@Suite struct VaultTests {
    private let parts: Parts
    private let keeper: KeyringKeeper
    private let vault: Vault
    private let token: PeerIdentity

    init() throws {
        parts = try Parts()
        keeper = try parts.open(create: true)
        vault = try parts.vault(keeper)
        token = try service("token")
    }

    private func seal(_ plaintext: [UInt8], context: [UInt8] = [7]) throws -> [UInt8] {
        try vault.encrypt(plaintext, key: "token-vault", context: context, caller: token).ciphertext
    }

    @Test func theForm() throws {
        let sealed = try vault.encrypt([1, 2, 3], key: "token-vault", context: [7], caller: token)
        #expect(sealed.version == 1)
        #expect(sealed.ciphertext.prefix(5) == [1, 0, 0, 0, 1])
        #expect(sealed.ciphertext.count == 5 + AEAD.overhead + 3)
    }

    @Test("ASVS 11.2.2: older versions open, and a rewrap gives no plaintext")
    func oldVersionsStillOpenAndRewrapMovesThem() throws {
        let old = try seal([1, 2, 3])
        _ = try parts.administration(keeper).rotate("token-vault", caller: administrator())
        keeper.stop()
        #expect(try vault.decrypt(old, key: "token-vault", context: [7], caller: token) == [1, 2, 3])
        let new = try vault.rewrap(old, key: "token-vault", context: [7], caller: token)
        #expect(new.version == 2)
        #expect(try vault.decrypt(new.ciphertext, key: "token-vault", context: [7], caller: token) == [1, 2, 3])
    }

    /// Whatever is wrong with a ciphertext, the answer has the same bytes.
    @Test("ASVS 11.2.5: every failure to decrypt is one error") func everyFailureIsOneError() throws {
        let good = try seal([1, 2, 3])
        var cases: [(String, [UInt8], [UInt8])] = [
            ("empty", [], [7]), ("wrong context", good, [8]), ("no context", good, []),
            ("longer context", good, [7, 0]), ("longer", good + [0], [7]),
        ]
        for count in 0..<good.count { cases.append(("truncated to \(count)", Array(good.prefix(count)), [7])) }
        for index in good.indices {
            var bad = good
            bad[index] ^= 1
            cases.append(("flipped byte \(index)", bad, [7]))
        }
        var otherVersion = good
        otherVersion[4] = 2
        cases.append(("unknown version", otherVersion, [7]))
        let other = try vault.encrypt([1, 2, 3], key: "email-outbox", context: [7], caller: service("email"))
        cases.append(("another key's", other.ciphertext, [7]))
        for (what, ciphertext, context) in cases {
            for text in failures(ciphertext, context) { #expect(text == Self.failure, "\(what)") }
        }
        print("decryption failures: \(cases.count) causes x decrypt and rewrap, one error")
    }

    private static let failure =
        "INVALID_ARGUMENT (decryption_failed): The ciphertext does not decrypt with this key and context."

    private func failures(_ ciphertext: [UInt8], _ context: [UInt8]) -> [String] {
        let attempts: [() throws -> Void] = [
            { _ = try vault.decrypt(ciphertext, key: "token-vault", context: context, caller: token) },
            { _ = try vault.rewrap(ciphertext, key: "token-vault", context: context, caller: token) },
        ]
        return attempts.map { attempt in
            do {
                try attempt()
                return "no error"
            } catch {
                return "\(RPCError.fromHandler(error))"
            }
        }
    }

    /// A context that continues where a key's name ends must not give the same additional data.
    @Test func nameAndContextDoNotRunTogether() {
        let left = Ciphertext.aad(key: "token", version: 1, context: Array("-vault".utf8))
        let right = Ciphertext.aad(key: "token-vault", version: 1, context: [])
        #expect(left != right)
    }

    @Test func describing() throws {
        let administration = try parts.administration(keeper)
        _ = try administration.rotate("access-token", caller: administrator())
        keeper.stop()
        let ahead = try administration.describe("access-token", caller: service("operator"))
        #expect((ahead.primary, ahead.pending) == (1, 2))
        parts.clock.advance(seconds: 301)
        let after = try administration.describe("access-token", caller: service("operator"))
        #expect((after.primary, after.pending) == (2, nil))
        #expect(after.key?.versions.map(\.number) == [1, 2])
        #expect(throws: EncryptionError.unknownKey("nothing")) {
            try administration.describe("nothing", caller: service("operator"))
        }
    }

    @Test("ASVS 11.1.1: a key serves one purpose")
    func aKeyServesOnePurpose() throws {
        let policy = try KeyPolicy(["token": ["*": KeyOperation.allCases]])
        let open = Vault(keeper: keeper, policy: policy, clock: parts.clock.read)
        #expect(throws: EncryptionError.wrongUsage(key: "access-token", expected: .aead)) {
            try open.encrypt([1], key: "access-token", context: [], caller: token)
        }
        #expect(throws: EncryptionError.decryptionFailed) {
            try open.decrypt(seal([1]), key: "access-token", context: [7], caller: token)
        }
    }
}
