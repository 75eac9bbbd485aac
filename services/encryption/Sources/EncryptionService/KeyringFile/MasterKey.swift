package import LibCrypto

/// The key under which the keyring is sealed.
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
