package import RPCCore

/// Encrypts and decrypts under this service's key. The context is bound to the ciphertext: bytes sealed for one message
/// do not open as another's.
package protocol Sealer: Sendable {
    /// - Throws: `DownstreamError`.
    func seal(_ plaintext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8]

    /// - Throws: `EmailError.unreadablePayload` when the ciphertext does not open, which no retry will change;
    ///   `DownstreamError` for all that may work later.
    func open(_ ciphertext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8]
}

/// What each sealed column is bound to.
enum SealContext {
    static func payload(_ messageID: String) -> String { "\(messageID)/payload" }
    static func digest(_ messageID: String) -> String { "\(messageID)/digest" }
}
