import LibCrypto

/// One version of an AEAD key, with all that is the same for each message under it.
// Safe to share: the additional data is written in the initializer only.
final class MessageKey: @unchecked Sendable {
    let name: String
    let number: UInt32
    /// The times at which it is the key's primary version, in microseconds since 1970; empty where that was not asked.
    let validity: Range<Int64>
    /// Whether each context has a key of its own.
    let isDerived: Bool
    let secret: SymmetricKey
    let meter: UsageMeter
    /// Whether the key's store gives it no more messages.
    let isWorn: Bool
    /// Good for as long as this is.
    let aad: AdditionalData

    private init(
        _ key: NamedKey, _ version: KeyVersion, _ secret: SymmetricKey, _ meter: UsageMeter, validity: Range<Int64>, isWorn: Bool
    ) {
        (name, number, self.validity, isDerived) = (key.name, version.number, validity, key.options.isDerived)
        (self.secret, self.meter, self.isWorn) = (secret, meter, isWorn)
        aad = AdditionalData(of: key.name, version.number)
    }

    /// A version that seals.
    ///
    /// - Throws: `changePending` for a version that others do not have yet, `wrongUsage` for one that does not seal.
    convenience init(
        sealing key: NamedKey, _ version: KeyVersion, validity: Range<Int64> = 0..<0, limits: UsageLimits
    ) throws(EncryptionError) {
        try version.checkActive(of: key)
        guard case .aead(let secret, let meter) = version.material else { throw .wrongUsage(key: key.name, expected: .aead) }
        self.init(key, version, secret, meter, validity: validity, isWorn: version.reserved >= limits.maximum)
    }

    /// A version that opens; nil for one that does not.
    convenience init?(opening key: NamedKey, _ version: KeyVersion) {
        guard case .aead(let secret, let meter) = version.material else { return nil }
        self.init(key, version, secret, meter, validity: 0..<0, isWorn: false)
    }

    deinit { aad.deallocate() }

    /// The key for messages of one context, of a key that `isDerived`.
    func derived(_ aad: UnsafeRawBufferPointer) -> SymmetricKey? {
        // The additional data names format, version, key and context, each in one way only.
        let info = Array("lockstep derived key v1".utf8) + aad
        let derived = secret.withUnsafeBytes { try? HKDF.sha256($0, salt: [UInt8](), info: info, count: SymmetricKey.count) }
        guard var derived else { return nil }
        defer { derived.withUnsafeMutableBytes { wipe($0) } }
        return try? SymmetricKey(bytes: derived)
    }
}

/// What is authenticated beside each plaintext under one version of a key.
///
/// Memory of its own, which its owner frees: of an array each message would be counted, and loops that seal under one key at once
/// would wait for each other's counts.
struct AdditionalData {
    /// All but the context. Begins with what a ciphertext begins with.
    private let start: UnsafeMutableRawBufferPointer

    fileprivate init(of name: String, _ version: UInt32) {
        let bytes = Ciphertext.aad(key: name, version: version, context: [])
        start = .allocate(byteCount: bytes.count, alignment: 1)
        start.copyBytes(from: bytes)
    }

    fileprivate func deallocate() { start.deallocate() }

    /// What a ciphertext begins with.
    var header: Slice<UnsafeRawBufferPointer> { UnsafeRawBufferPointer(start)[..<Ciphertext.headerCount] }

    /// Calls `body` with that of messages of a context.
    func with<Result>(_ context: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        guard !context.isEmpty else { return body(UnsafeRawBufferPointer(start)) }
        return withUnsafeTemporaryAllocation(byteCount: start.count + context.count, alignment: 1) { whole in
            whole.copyBytes(from: start)
            UnsafeMutableRawBufferPointer(rebasing: whole[start.count...]).copyBytes(from: context)
            return body(UnsafeRawBufferPointer(whole))
        }
    }
}
