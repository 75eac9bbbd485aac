package import LibCrypto

/// The key under which the keyring file is sealed: 64 hexadecimal digits in a file of mode 0600.
package struct MasterKey: Sendable {
    /// Says which master key sealed a file, and nothing of the key: derived apart from the sealing key.
    package let id: [UInt8]
    /// Seals the file. In a page of its own, which is locked and left out of dumps.
    let sealing: SymmetricKey

    /// The length of `id`.
    static let idCount = 8

    package init(bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == SymmetricKey.count else { throw .invalidKey }
        var derived = try HKDF.sha256(
            bytes, salt: [UInt8](), info: Array("lockstep keyring v1 sealing key".utf8), count: SymmetricKey.count)
        defer { derived.withUnsafeMutableBytes { wipe($0) } }
        sealing = try SymmetricKey(locked: derived)
        id = try HKDF.sha256(
            bytes, salt: [UInt8](), info: Array("lockstep keyring v1 key id".utf8), count: Self.idCount)
    }
}

extension MasterKey {
    /// The key of a file; nil when there is none.
    static func read(_ path: String) throws(KeyringProblem) -> MasterKey? {
        guard var text = try PrivateFile.read(path, maximumCount: 1024) else { return nil }
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        let digits = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard digits.count == 1, var bytes = Hex.decode(String(digits[0])), bytes.count == SymmetricKey.count
        else { throw .masterKeyMalformed(path: path) }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        return try make(bytes)
    }

    /// Makes a key and its file, which must not exist.
    static func create(_ path: String) throws(KeyringProblem) -> MasterKey {
        guard var bytes = try? RandomBytes.generate(SymmetricKey.count) else {
            throw .crypto("no random bytes")
        }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        let key = try make(bytes)
        try PrivateFile.create(path, Array((Hex.encode(bytes) + "\n").utf8))
        return key
    }

    private static func make(_ bytes: [UInt8]) throws(KeyringProblem) -> MasterKey {
        do {
            return try MasterKey(bytes: bytes)
        } catch {
            throw .crypto("\(error)")
        }
    }
}
