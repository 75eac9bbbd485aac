internal import LibCrypto

/// A passkey's public key (COSE_Key, RFC 9052, section 7) of one of the two algorithms that are asked for.
enum CredentialKey: Sendable {
    case es256(P256.PublicKey)
    case edDSA(Ed25519.PublicKey)

    /// COSE's number of its algorithm (RFC 9053, section 2).
    var algorithm: Int64 {
        switch self {
        case .es256: -7
        case .edDSA: -8
        }
    }

    /// The preferred one first.
    static let algorithms: [Int32] = [-8, -7]

    /// - Returns: nil for another kind of key, another curve, or a point that is on none.
    init?(cose: CBOR) {
        guard case .map(let members) = cose, let kty = cose[1], let alg = cose[3], let crv = cose[-1], let x = cose[-2]?.asBytes
        else { return nil }
        switch (kty, alg, crv) {
        case (.int(2), .int(-7), .int(1)):
            guard members.count == 5, let y = cose[-3]?.asBytes, let key = try? P256.PublicKey(x: x, y: y) else { return nil }
            self = .es256(key)
        case (.int(1), .int(-8), .int(6)):
            guard members.count == 4, let key = try? Ed25519.PublicKey(rawRepresentation: x) else { return nil }
            self = .edDSA(key)
        default: return nil
        }
    }

    func isValid(_ signature: [UInt8], for data: [UInt8]) -> Bool {
        switch self {
        case .es256(let key):
            guard let plain = Self.plain(der: signature) else { return false }
            return key.isValidSignature(plain, for: data)
        case .edDSA(let key): return key.isValidSignature(signature, for: data)
        }
    }

    /// `r` and `s` of 32 bytes each, from a sequence of two numbers in DER (RFC 3279, section 2.2.3), each in its one form.
    private static func plain(der: [UInt8]) -> [UInt8]? {
        var rest = der[...]
        guard rest.popFirst() == 0x30, let length = rest.popFirst(), length < 0x80, rest.count == Int(length) else { return nil }
        var plain: [UInt8] = []
        for _ in 0..<2 {
            guard rest.popFirst() == 0x02, let length = rest.popFirst(), (1...33).contains(length), rest.count >= Int(length)
            else { return nil }
            var number = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            guard let first = number.first, first < 0x80 else { return nil }
            if first == 0, number.count > 1 {
                number = number.dropFirst()
                guard let next = number.first, next >= 0x80 else { return nil }
            }
            guard number.count <= 32 else { return nil }
            plain += [UInt8](repeating: 0, count: 32 - number.count) + number
        }
        return rest.isEmpty ? plain : nil
    }
}
