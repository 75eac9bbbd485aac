internal import LibCrypto
internal import ServiceKit

/// The key of one user's personal fields in the audit trail. With the account it is deleted, and they are with it, in rows
/// that nobody may change.
///
/// It lies in the same database: it is there to be forgotten, not to keep a thief of the database from reading.
struct AuditKey: Sendable {
    let pseudonym: String
    private let bytes: Redacted<[UInt8]>

    init(pseudonym: String, bytes: [UInt8]) {
        self.pseudonym = pseudonym
        self.bytes = Redacted(bytes)
    }

    static func makeBytes() throws -> [UInt8] { try RandomBytes.generate(SymmetricKey.count) }

    /// Address and user agent, bound to their row.
    func seal(_ origin: Origin, event: String) throws -> [UInt8] {
        let text = Array(origin.address.utf8) + [0] + Array(origin.userAgent.utf8)
        return try AEAD.seal(text, key: SymmetricKey(bytes: bytes.exposed), aad: aad(event))
    }

    /// - Returns: nil for what is not this key's or was changed.
    func open(_ sealed: [UInt8], event: String) -> (address: String, userAgent: String)? {
        guard let key = try? SymmetricKey(bytes: bytes.exposed),
            let text = try? AEAD.open(sealed, key: key, aad: aad(event)), let end = text.firstIndex(of: 0)
        else { return nil }
        return (
            String(decoding: text[..<end], as: UTF8.self), String(decoding: text[text.index(after: end)...], as: UTF8.self)
        )
    }

    /// Stands for a network in rows: to be compared with others of this user, and to say nothing.
    func mark(_ network: String) throws -> String {
        Hex.encode(Array(try HMACSHA256.authenticate(Array(network.utf8), key: bytes.exposed).prefix(Self.markLength)))
    }

    private func aad(_ event: String) -> [UInt8] { Array("audit \(event) \(pseudonym)".utf8) }

    private static let markLength = 16
}
