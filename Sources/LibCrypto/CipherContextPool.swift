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
        let pointer: OpaquePointer
        /// Whether the key schedule is already in it.
        var isKeyed: Bool
        var nonces: NonceStock
    }

    private let idle = Mutex<[Context]>([])

    init(capacity: Int = 8) { self.capacity = capacity }

    /// How many wait.
    var idleCount: Int { idle.withLock { $0.count } }

    /// A context of this key, or a fresh one without a key.
    func take() throws(CryptoError) -> Context {
        if let context = idle.withLock({ $0.popLast() }) { return context }
        guard let pointer = EVP_CIPHER_CTX_new() else { throw .failed("EVP_CIPHER_CTX_new") }
        return Context(pointer: pointer, isKeyed: false, nonces: NonceStock())
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
        target.copyBytes(from: bytes[position..<(position + AEAD.nonceCount)])
        position += AEAD.nonceCount
    }
}
