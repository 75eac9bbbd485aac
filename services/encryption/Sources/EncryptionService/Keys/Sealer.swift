package import FoundationEssentials
import LibCrypto

/// One version of one key, sealing, for one call: what it holds is shared with other calls, itself it is not, so that many messages
/// cost no more counting of who holds what than one.
package final class Sealer {
    /// The most messages that are claimed at once.
    private static let mostClaimed = 64

    private let key: MessageKey
    private let keeper: KeyringKeeper
    /// The key's: no message of many looks at what is shared.
    private let aad: AdditionalData
    private let isDerived: Bool
    /// Where many messages are to come and have one key.
    private let session: AEAD.Session?
    /// Messages that nothing was claimed for yet.
    private var expected: Int
    /// Messages that were claimed and not sealed yet.
    private var claimed = 0

    /// - Parameter items: How many messages there will be, as far as one knows.
    init(_ key: MessageKey, _ keeper: KeyringKeeper, items: Int) {
        (self.key, self.keeper, aad, isDerived, expected) = (key, keeper, key.aad, key.isDerived, items)
        session = items > 1 && !key.isDerived ? AEAD.Session(sealing: key.secret) : nil
    }

    deinit { if claimed > 0 { key.meter.giveBack(claimed) } }

    /// The number of the version.
    var version: UInt32 { key.number }

    package func seal(_ plaintext: Data, context: Data) throws(EncryptionError) -> Vault.Sealed {
        let ciphertext = try Data.filled(plaintext.count + Ciphertext.overhead, from: plaintext, context) {
            plaintext, context, target throws(EncryptionError) in
            try seal(plaintext, context: context, into: target)
        }
        return (ciphertext, version)
    }

    /// The same where it is answered from: neither plaintext nor ciphertext is copied.
    ///
    /// - Parameter target: Of the plaintext's length and `Ciphertext.overhead`.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(EncryptionError) {
        if isDerived, context.isEmpty { throw .contextRequired(key: key.name) }
        if claimed == 0 { try claim() }
        claimed -= 1
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: aad.header))
        let sealed = UnsafeMutableRawBufferPointer(rebasing: target[Ciphertext.headerCount...])
        // The additional data is the key's.
        let isSealed = withExtendedLifetime(self) {
            if let session {
                aad.with(context) { aad in (try? session.seal(plaintext, aad: aad, into: sealed)) != nil }
            } else {
                sealAlone(plaintext, context, into: sealed)
            }
        }
        guard isSealed else { throw .cryptoFailed }
    }

    private func sealAlone(
        _ plaintext: UnsafeRawBufferPointer, _ context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        aad.with(context) { aad in
            guard let secret = isDerived ? key.derived(aad) : key.secret else { return false }
            return (try? AEAD.seal(plaintext, key: secret, aad: aad, into: target)) != nil
        }
    }

    /// Derived keys are counted together: that is more than they need, and never too little.
    private func claim() throws(EncryptionError) {
        let claim = key.meter.claim(min(max(expected, 1), Self.mostClaimed))
        expected -= claim.granted
        claimed = claim.granted
        if claim.isLow { keeper.requestReserve(for: key.name, version: version) }
        guard claimed > 0 else { throw key.isWorn ? .keyExhausted(key: key.name) : .reserveExhausted(key: key.name) }
    }
}
