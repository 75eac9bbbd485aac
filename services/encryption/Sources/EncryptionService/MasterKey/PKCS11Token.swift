import CPKCS11
import LibCrypto
import Synchronization

/// An AES-256 key on a PKCS #11 token (a hardware security module, or SoftHSM2) under which master keys are sealed with
/// CKM_AES_GCM. The module is loaded for each use and let go after it; the key never leaves the token.
package struct PKCS11Token: Sendable, Hashable {
    /// Where the user's PIN is.
    package enum PIN: Sendable, Hashable {
        /// A file of mode 0600, read for each use.
        case file(String)
        /// A file descriptor that the process was started with.
        case descriptor(InheritedPIN)
    }

    /// The module's path.
    package var module: String
    /// The token's label.
    package var token: String
    /// The key's label.
    package var key: String
    package var pin: PIN

    package init(module: String, token: String, key: String, pin: PIN) {
        self.module = module
        self.token = token
        self.key = key
        self.pin = pin
    }

    /// Names what is sealed, so that nothing else under the token's key is taken for it.
    private static let aad = Array("lockstep master key v1".utf8)
    /// The longest PIN, in bytes.
    private static let maximumPIN = 256

    /// `nonce:12 ciphertext tag:16`.
    func seal(_ bytes: [UInt8]) throws(KeyringProblem) -> [UInt8] {
        guard let nonce = try? RandomBytes.generate(AEAD.nonceCount) else { throw .crypto("no random bytes") }
        return nonce + (try crypt(bytes, nonce: nonce, isSealing: true))
    }

    /// - Throws: `token` when the key on the token is another one, and for everything that keeps it from being used.
    func open(_ sealed: [UInt8]) throws(KeyringProblem) -> [UInt8] {
        guard sealed.count == AEAD.overhead + SymmetricKey.count else { throw problem("what is sealed has another length") }
        return try crypt(
            Array(sealed.dropFirst(AEAD.nonceCount)), nonce: Array(sealed.prefix(AEAD.nonceCount)), isSealing: false)
    }

    /// Makes the key on the token, unless there is one of its label.
    func makeKey() throws(KeyringProblem) {
        var code: UInt = 0
        let result = try withToken { lockstep_token_make_key($0, &code) }
        try check(result, code)
    }

    private func crypt(_ bytes: [UInt8], nonce: [UInt8], isSealing: Bool) throws(KeyringProblem) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: bytes.count + AEAD.tagCount)
        defer { output.withUnsafeMutableBytes { wipe($0) } }
        var (count, code): (Int, UInt) = (output.count, 0)
        let result = try withToken {
            lockstep_token_crypt(
                $0, isSealing ? 1 : 0, nonce, Self.aad, Self.aad.count, bytes, bytes.count, &output, &count, &code)
        }
        try check(result, code)
        return Array(output.prefix(count))
    }

    private func withToken(_ body: (UnsafePointer<lockstep_token>) -> Int32) throws(KeyringProblem) -> Int32 {
        var pin = try readPIN()
        defer { pin.withUnsafeMutableBytes { wipe($0) } }
        return module.withCString { module in
            token.withCString { token in
                key.withCString { key in
                    pin.withUnsafeBufferPointer { pin in
                        var value = lockstep_token(
                            module: module, token: token, key: key, pin: pin.baseAddress, pin_count: pin.count)
                        return body(&value)
                    }
                }
            }
        }
    }

    private func readPIN() throws(KeyringProblem) -> [UInt8] {
        var text: [UInt8]
        let place: String
        switch pin {
        case .file(let path):
            place = path
            guard let found = try PrivateFile.read(path, maximumCount: Self.maximumPIN) else {
                throw problem("there is no file with the PIN at \(path)")
            }
            text = found
        case .descriptor(let inherited):
            place = "file descriptor \(inherited.descriptor)"
            text = try inherited.read(maximumCount: Self.maximumPIN)
        }
        while text.last == UInt8(ascii: "\n") || text.last == UInt8(ascii: "\r") { text.removeLast() }
        guard !text.isEmpty else { throw problem("\(place) holds no PIN") }
        return text
    }

    /// Where the PIN is read from at each use.
    var pinFile: String? { if case .file(let path) = pin { path } else { nil } }

    private func problem(_ reason: String) -> KeyringProblem { .token(module: module, reason: reason) }

    private func check(_ result: Int32, _ code: UInt) throws(KeyringProblem) {
        let suffix = code == 0 ? "" : " (CKR 0x\(String(code, radix: 16)))"
        switch Int(result) {
        case LOCKSTEP_TOKEN_OK: return
        case LOCKSTEP_TOKEN_NO_MODULE:
            throw problem("the module cannot be loaded; encryption.pkcs11.module must be the path of a library")
        case LOCKSTEP_TOKEN_NO_FUNCTIONS: throw problem("it is no PKCS #11 module: it has no C_GetFunctionList\(suffix)")
        case LOCKSTEP_TOKEN_NOT_INITIALIZED: throw problem("the module does not start\(suffix)")
        case LOCKSTEP_TOKEN_NO_TOKEN:
            throw problem(
                "there is no token labelled \(token) in any slot; correct encryption.pkcs11.token or initialize one\(suffix)")
        case LOCKSTEP_TOKEN_NO_SESSION: throw problem("the token \(token) opens no session\(suffix)")
        case LOCKSTEP_TOKEN_PIN_REFUSED:
            throw .pinRefused(
                module: module,
                reason: "the token \(token) refuses the PIN\(suffix). It was tried once; tokens lock themselves after some tries")
        case LOCKSTEP_TOKEN_NO_KEY:
            throw problem(
                "the token \(token) has no AES key labelled \(key); encryption.keyring.create makes one at a first start\(suffix)")
        case LOCKSTEP_TOKEN_MANY_KEYS: throw problem("the token \(token) has several AES keys labelled \(key); rename all but one")
        case LOCKSTEP_TOKEN_NOT_ENCRYPTED: throw problem("the key \(key) does not seal with CKM_AES_GCM\(suffix)")
        case LOCKSTEP_TOKEN_NOT_DECRYPTED:
            throw problem("the key \(key) does not open the master key: it is another one, or the file was changed\(suffix)")
        default: throw problem("the token \(token) makes no AES key\(suffix)")
        }
    }
}

/// A PIN that came through a file descriptor. It can be read once, so it is kept for the next use.
package final class InheritedPIN: Sendable, Hashable {
    let descriptor: Int32
    private let kept = Mutex<[UInt8]?>(nil)

    package init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { kept.withLock { pin in pin?.withUnsafeMutableBytes { wipe($0) } } }

    /// A copy, which the caller wipes.
    func read(maximumCount: Int) throws(KeyringProblem) -> [UInt8] {
        if let known = kept.withLock({ $0.map { Array($0[...]) } }) { return known }
        let pin = try PrivateFile.read(descriptor: descriptor, maximumCount: maximumCount)
        let copy = Array(pin[...])
        kept.withLock { $0 = pin }
        return copy
    }

    package static func == (left: InheritedPIN, right: InheritedPIN) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
