import CXCrypt
import LibCrypto

/// bcrypt through libxcrypt's reentrant function. Takes what it is given: limits are `PasswordHasher`'s.
enum Bcrypt {
    /// The most bytes of a password that bcrypt looks at.
    static let maximumPasswordCount = 72
    /// The length of a salt in bytes.
    static let saltCount = 16

    /// The hash of `phrase` for a setting or an earlier hash; nil when libxcrypt refuses either.
    ///
    /// - Parameter phrase: Without a NUL.
    static func hash(_ phrase: [UInt8], setting: String) -> String? {
        let size = MemoryLayout<crypt_data>.size
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        var terminated = phrase + [0]
        defer {
            terminated.withUnsafeMutableBytes { wipe($0) }
            wipe(memory)
            memory.deallocate()
        }
        return terminated.withUnsafeBytes { phrase in
            crypt_rn(phrase.baseAddress?.assumingMemoryBound(to: CChar.self), setting, memory.baseAddress, Int32(size))
                .map { String(cString: $0) }
        }
    }

    /// `$2b$NN$` and 22 characters of a random salt; nil when libxcrypt refuses the rounds.
    static func setting(rounds: Int) throws(CryptoError) -> String? {
        let salt = try RandomBytes.generate(saltCount).map(CChar.init(bitPattern:))
        var output = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        let setting = crypt_gensalt_rn(
            "$2b$", UInt(rounds), salt, Int32(salt.count), &output, Int32(output.count))
        return setting.map { String(cString: $0) }
    }
}

/// A stored hash, taken apart: `$2b$12$` and 53 characters of salt and digest.
struct BcryptHash {
    let text: String
    let variant: String
    let rounds: Int

    /// Nil unless it is `$2a$`, `$2b$` or `$2y$`, two digits, and 53 characters of its alphabet. The three are one algorithm, but
    /// that libxcrypt's `$2a$` keeps passwords apart which a faulty implementation of before 2011 confused (crypt(5)).
    init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, ["2a", "2b", "2y"].contains(parts[1]),
            parts[2].utf8.count == 2, parts[2].utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
            let rounds = Int(parts[2]), parts[3].utf8.count == 53, parts[3].utf8.allSatisfy(Self.isDigit)
        else { return nil }
        self.text = text
        self.variant = String(parts[1])
        self.rounds = rounds
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
