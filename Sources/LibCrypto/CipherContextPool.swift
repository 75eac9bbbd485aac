import COpenSSL
import Synchronization

/// Cipher contexts that already hold one key's schedule, waiting for the next message.
///
/// A context serves one message at a time: it is taken out, used and put back, so no two threads ever share one.
final class CipherContextPool: Sendable {
    /// As many contexts as are kept; more are freed after use.
    private let capacity: Int

    /// A context on its way between threads; owned by whoever holds it.
    // Safe to send: exactly one owner at a time, the pool or the caller of `take`.
    struct Context: @unchecked Sendable {
        /// Has the key's schedule.
        let pointer: OpaquePointer
        var nonces = NonceStock()
    }

    /// What its contexts do.
    enum Direction: Int32 {
        case decrypting = 0
        case encrypting = 1
    }

    private let direction: Direction
    private let idle = Mutex<[Context]>([])

    init(_ direction: Direction, capacity: Int = 8) { (self.direction, self.capacity) = (direction, capacity) }

    /// How many wait.
    var idleCount: Int { idle.withLock { $0.count } }

    /// A context that has the key's schedule already, or a fresh one, which is given it.
    ///
    /// - Parameter key: The one that the pool is of.
    func take(for key: SymmetricKey) throws(CryptoError) -> Context {
        if let context = idle.withLock({ $0.popLast() }) { return context }
        guard let pointer = EVP_CIPHER_CTX_new() else { throw .failed("EVP_CIPHER_CTX_new") }
        let ok = key.withUnsafeBytes { bytes in
            let key = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return EVP_CipherInit_ex(pointer, Algorithms.aes256gcm.pointer, nil, key, nil, direction.rawValue) == 1
        }
        guard ok else {
            EVP_CIPHER_CTX_free(pointer)
            throw .failed("AES-256-GCM")
        }
        return Context(pointer: pointer)
    }

    /// Keeps a context for the next message.
    func put(_ context: Context) {
        let kept = idle.withLock { idle in
            guard idle.count < capacity else { return false }
            idle.append(context)
            return true
        }
        if !kept { discard(context) }
    }

    /// Frees a context, wiping the key schedule in it.
    func discard(_ context: Context) {
        EVP_CIPHER_CTX_free(context.pointer)
    }

    deinit {
        for context in idle.withLock({ $0 }) { EVP_CIPHER_CTX_free(context.pointer) }
    }
}

/// Random nonces of one cipher context, drawn many at a time where many are used: the generator takes a lock, and longer than a
/// small message does.
///
/// Each serves once. They are no secret: the message that one goes with tells it.
struct NonceStock {
    /// The most that are drawn at once.
    static let most = 64

    /// How many are drawn next: one at first, for a key that seals one message and goes.
    private var batch = 1
    private var bytes: [UInt8] = []
    /// Where the next one begins.
    private var position = 0

    /// - Throws: `CryptoError.randomUnavailable`.
    mutating func next(into target: UnsafeMutableRawBufferPointer) throws(CryptoError) {
        if position == bytes.count {
            bytes = try RandomBytes.generate(batch * AEAD.nonceCount)
            position = 0
            batch = min(batch * 2, Self.most)
        }
        bytes.withUnsafeBytes { target.copyBytes(from: $0[position..<(position + AEAD.nonceCount)]) }
        position += AEAD.nonceCount
    }
}
