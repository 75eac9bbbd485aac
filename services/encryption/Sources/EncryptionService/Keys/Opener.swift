package import FoundationEssentials
import LibCrypto

/// All versions of a key that may still open, for one call.
package final class Opener {
    private let key: NamedKey?
    private let keeper: KeyringKeeper
    private let items: Int
    /// What opened the last message: most are of one version. With its cipher, where many are to come and have one key.
    private var last: (key: MessageKey, session: AEAD.Session?)?

    /// - Parameters:
    ///   - key: Nil for one that is not there: it opens nothing.
    ///   - items: How many messages there will be, as far as one knows.
    init(_ key: NamedKey?, _ keeper: KeyringKeeper, items: Int) { (self.key, self.keeper, self.items) = (key, keeper, items) }

    /// Whether it is there, and for messages.
    var opensMessages: Bool { key?.usage == .aead }

    /// - Throws: `decryptionFailed`, whatever is wrong; `keyringStale` when there may be a version that is not known here.
    package func open(_ bytes: Data, context: Data) throws(EncryptionError) -> Data {
        try Data.filled(Ciphertext.plaintextCount(of: bytes.count), from: bytes, context) {
            bytes, context, target throws(EncryptionError) in
            try open(bytes, context: context, into: target)
        }
    }

    /// The same where it is answered from. What did not open is not left there.
    ///
    /// - Parameter target: Of the ciphertext's length less `Ciphertext.overhead`.
    func open(
        _ bytes: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(EncryptionError) {
        guard let ciphertext = Ciphertext(bytes) else { throw .decryptionFailed }
        let (key, session) = try version(ciphertext.version)
        let isOpened = withExtendedLifetime(key) { key.aad.with(context) { Self.open(ciphertext, key, session, aad: $0, into: target) } }
        guard isOpened else { throw .decryptionFailed }
    }

    private static func open(
        _ ciphertext: Ciphertext, _ key: MessageKey, _ session: AEAD.Session?, aad: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        do {
            if let session {
                try session.open(ciphertext.sealed, aad: aad, into: target)
            } else {
                guard let secret = key.isDerived ? key.derived(aad) : key.secret else { return false }
                try AEAD.open(ciphertext.sealed, key: secret, aad: aad, into: target)
            }
            return true
        } catch {
            return false
        }
    }

    private func version(_ number: UInt32) throws(EncryptionError) -> (key: MessageKey, session: AEAD.Session?) {
        if let last, last.key.number == number { return last }
        if key?.version(number) == nil, keeper.isStale { throw .keyringStale }
        guard let key, let version = key.opening(number), let found = MessageKey(opening: key, version) else { throw .decryptionFailed }
        let opening = (found, items > 1 && !found.isDerived ? AEAD.Session(opening: found.secret) : nil)
        last = opening
        return opening
    }
}

/// Opens and seals anew; what was inside does not leave it.
package struct Rewrapper {
    let opener: Opener
    /// Nil for a key that is not there or not for this: then nothing opens either.
    let sealer: Sealer?

    /// The version that seals; 0 where nothing opens.
    var version: UInt32 { sealer?.version ?? 0 }

    package func rewrap(_ bytes: Data, context: Data) throws(EncryptionError) -> Vault.Sealed {
        // What is sealed anew is as long as it was.
        let sealed = try Data.filled(bytes.count, from: bytes, context) { bytes, context, target throws(EncryptionError) in
            try rewrap(bytes, context: context, into: target)
        }
        return (sealed, version)
    }

    /// The same where it is answered from.
    ///
    /// - Parameter target: Of the ciphertext's length.
    func rewrap(
        _ bytes: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(EncryptionError) {
        var plaintext = [UInt8](repeating: 0, count: Ciphertext.plaintextCount(of: bytes.count))
        defer { plaintext.withUnsafeMutableBytes { wipe($0) } }
        var failure: EncryptionError?
        plaintext.withUnsafeMutableBytes { opened in
            do throws(EncryptionError) {
                try opener.open(bytes, context: context, into: opened)
                guard let sealer else { throw .decryptionFailed }
                try sealer.seal(UnsafeRawBufferPointer(opened), context: context, into: target)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
