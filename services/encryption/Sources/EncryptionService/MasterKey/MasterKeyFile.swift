import LibCrypto
import Synchronization

/// The text of a master key's file: the key, and while it is replaced the other one.
///
/// ```
/// file = key                  the usual
///      | key "next" key       what is sealed under the other opens as well, and is sealed under it again
///      | key "old" key        what is sealed under the other opens, and is then sealed under the key
/// key  = 64 hexadecimal digits
///      | "pkcs11:" and 120 hexadecimal digits: what the token's key has sealed
/// ```
struct MasterKeyFile {
    enum Other: String {
        case next
        case old
    }

    /// A key's text, wiped at its end.
    private final class Word: Sendable {
        private let text: Mutex<[UInt8]>

        init(_ bytes: some Collection<UInt8>) { text = Mutex(Array(bytes)) }

        deinit { text.withLock { text in text.withUnsafeMutableBytes { wipe($0) } } }

        func read<Result: Sendable>(_ body: ([UInt8]) throws(KeyringProblem) -> Result) throws(KeyringProblem) -> Result {
            try text.withLock { (text) throws(KeyringProblem) in try body(text) }
        }

        func append(to other: inout [UInt8]) { text.withLock { other += $0 } }
    }

    private static let tokenPrefix = Array("pkcs11:".utf8)

    private var key: Word
    private var other: (role: Other, key: Word)?

    /// One fresh key, sealed under the token's where there is one.
    init(token: PKCS11Token?) throws(KeyringProblem) {
        guard var bytes = try? RandomBytes.generate(SymmetricKey.count) else { throw .crypto("no random bytes") }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        // What a token has sealed is no secret.
        if let token {
            key = Word(Self.tokenPrefix + Array(Hex.encode(try token.seal(bytes)).utf8))
        } else {
            var digits = Hex.digits(bytes)
            defer { digits.withUnsafeMutableBytes { wipe($0) } }
            key = Word(digits)
        }
    }

    /// Nil for any other text.
    init?(_ text: [UInt8]) {
        let words = text.split(whereSeparator: { [0x20, 0x0a, 0x0d, 0x09].contains($0) })
        guard words.count == 1 || words.count == 3, Self.isKey(words[0]) else { return nil }
        key = Word(words[0])
        guard words.count == 3 else { return }
        guard let role = Other(rawValue: String(decoding: words[1], as: UTF8.self)), Self.isKey(words[2]),
            !constantTimeEqual(Array(words[2]), Array(words[0]))
        else { return nil }
        other = (role, Word(words[2]))
    }

    /// As the file has it, with its end. The caller wipes it.
    var text: [UInt8] {
        var text: [UInt8] = []
        // Room for all of it at once, so that nothing is left behind by a move.
        text.reserveCapacity(MasterKeyInFile.maximumCount)
        key.append(to: &text)
        if let other {
            text += Array("\n\(other.role.rawValue) ".utf8)
            other.key.append(to: &text)
        }
        text.append(UInt8(ascii: "\n"))
        return text
    }

    /// The keys themselves.
    ///
    /// - Parameter token: For those that a token's key has sealed.
    func keys(_ token: PKCS11Token?) throws(KeyringProblem) -> MasterKeySet {
        var set = MasterKeySet(key: try Self.open(key, token))
        switch other?.role {
        case .next: set.next = try other.map { (other) throws(KeyringProblem) in try Self.open(other.key, token) }
        case .old: set.old = try other.map { (other) throws(KeyringProblem) in try Self.open(other.key, token) }
        case nil: break
        }
        return set
    }

    /// The next key stands beside the present one. A key that stands there already stays: it may be the only one that opens.
    mutating func add(_ next: MasterKeyFile) {
        if other == nil { other = (.next, next.key) }
    }

    /// The next key becomes the present one.
    mutating func promote() {
        guard let next = other, next.role == .next else { return }
        (key, other) = (next.key, (.old, key))
    }

    /// The old key goes.
    mutating func drop() {
        if other?.role == .old { other = nil }
    }

    private static func isKey(_ word: ArraySlice<UInt8>) -> Bool {
        let isSealed = word.starts(with: tokenPrefix)
        let digits = word.dropFirst(isSealed ? tokenPrefix.count : 0)
        let count = isSealed ? AEAD.overhead + SymmetricKey.count : SymmetricKey.count
        return digits.count == 2 * count && digits.allSatisfy(Hex.isDigit)
    }

    private static func open(_ word: Word, _ token: PKCS11Token?) throws(KeyringProblem) -> MasterKey {
        try word.read { (text) throws(KeyringProblem) in
            let isSealed = text.starts(with: tokenPrefix)
            guard var bytes = Hex.decode(text.dropFirst(isSealed ? tokenPrefix.count : 0)) else { throw .crypto("no digits") }
            defer { bytes.withUnsafeMutableBytes { wipe($0) } }
            if isSealed {
                guard let token else {
                    throw .token(
                        module: "", reason: "the master key's file holds one that a token has sealed: set encryption.pkcs11.module")
                }
                bytes = try token.open(bytes)
            }
            do {
                return try MasterKey(bytes: bytes)
            } catch {
                throw .crypto("\(error)")
            }
        }
    }
}
