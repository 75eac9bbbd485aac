import LibCrypto
import Synchronization

/// How many messages were ever reserved under each version in a keyring's file, in a file of its own beside it.
///
/// It is written before the keyring is. So a keyring that was put back from a backup, and counts from then, goes on counting
/// where its keys really are: with random nonces a key may seal 2^32 messages over all its life (SP 800-38D section 8.3). Put
/// back together with this file, or without it, nothing here could tell.
final class HighWater: Sendable {
    private struct State {
        var reserves: Reserves
        /// The generation of the keyring for which it was written, and the master key's id.
        var written: (generation: UInt64, masterKey: [UInt8])?
    }

    private let path: String
    private let codec: KeyringCodec
    private let state: Mutex<State>

    /// - Throws: `corrupt`, naming the file. One that is not there begins with what the keyring says.
    init(path: String, codec: KeyringCodec) throws(KeyringProblem) {
        // Texts of errors are to name this file.
        let codec = KeyringCodec(path: path, masterKeys: codec.masterKeys, maker: codec.maker)
        var state = State(reserves: Reserves())
        if let file = try PrivateFile.read(path, maximumCount: KeyringCodec.maximumCount) {
            let (reserves, generation) = try codec.openReserves(file)
            state = State(reserves: reserves, written: (generation, try KeyringCodec.reservesMasterKeyID(of: file, path: path)))
        }
        self.path = path
        self.codec = codec
        self.state = Mutex(state)
    }

    /// The keyring, counting no fewer than are known.
    func raised(_ keyring: Keyring) -> Keyring { keyring.noting(state.withLock { $0.reserves }.blocks(of: keyring)) }

    /// The generation of the keyring that was written last, when `keyring` is so much older that no crash explains it.
    func later(than keyring: Keyring) -> UInt64? {
        state.withLock { $0.written?.generation }.flatMap { $0 > keyring.generation + 1 ? $0 : nil }
    }

    /// Makes it durable that these are reserved, before the keyring that says so is.
    func write(_ keyring: Keyring) throws(KeyringProblem) {
        var state = state.withLock { $0 }
        let isHigher = state.reserves.raise(Reserves(of: keyring))
        let masterKey = codec.masterKeys.sealing.id
        guard isHigher || state.written?.masterKey != masterKey else { return }
        let sealed = try codec.seal(state.reserves, revision: keyring.generation)
        try PrivateFile.replace(path, sealed)
        state.written = (keyring.generation, masterKey)
        self.state.withLock { $0 = state }
    }
}
