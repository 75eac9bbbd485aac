internal import LibCrypto

/// What an authenticator says (WebAuthn Level 3, section 6.1).
struct AuthenticatorData: Sendable {
    let rpIDHash: [UInt8]
    let isUserPresent: Bool
    let isUserVerified: Bool
    /// It may be on several devices.
    let isBackupEligible: Bool
    let isBackedUp: Bool
    let signCount: Int64
    /// Of a registration.
    let credential: Credential?

    struct Credential: Sendable {
        let id: [UInt8]
        /// COSE_Key as it came.
        let publicKey: [UInt8]
    }

    /// Bytes of the longest credential id (section 4).
    static let longestCredentialID = 1023
    private static let headLength = 37

    /// - Returns: nil for anything else, what is too long or has something behind its end.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headLength, bytes.count <= CBOR.longest else { return nil }
        let flags = bytes[32]
        // Bits that nobody has given a meaning are to be 0.
        guard flags & 0b0010_0010 == 0 else { return nil }
        rpIDHash = Array(bytes[..<32])
        isUserPresent = flags & 0x01 != 0
        isUserVerified = flags & 0x04 != 0
        isBackupEligible = flags & 0x08 != 0
        isBackedUp = flags & 0x10 != 0
        signCount = bytes[33..<37].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        var rest = bytes[Self.headLength...]
        if flags & 0x40 != 0 {
            guard let credential = Self.credential(&rest) else { return nil }
            self.credential = credential
        } else {
            credential = nil
        }
        if flags & 0x80 != 0 {
            // Extensions are passed over: none was asked for.
            guard let (extensions, behind) = try? CBOR.decodePrefix(rest), case .map = extensions else { return nil }
            rest = behind
        }
        guard rest.isEmpty, isBackupEligible || !isBackedUp else { return nil }
    }

    private static func credential(_ rest: inout ArraySlice<UInt8>) -> Credential? {
        // The model (AAGUID) tells nothing without attestation.
        guard rest.count >= 18 else { return nil }
        let length = Int(rest[rest.startIndex + 16]) << 8 | Int(rest[rest.startIndex + 17])
        rest = rest.dropFirst(18)
        guard (1...longestCredentialID).contains(length), rest.count >= length else { return nil }
        let id = Array(rest.prefix(length))
        rest = rest.dropFirst(length)
        guard let (_, behind) = try? CBOR.decodePrefix(rest) else { return nil }
        let key = Array(rest.prefix(rest.count - behind.count))
        rest = behind
        return Credential(id: id, publicKey: key)
    }
}
