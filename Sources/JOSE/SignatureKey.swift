package import FoundationEssentials
package import LibCrypto

/// The algorithms that are signed and verified with (RFC 7518 section 3.1, RFC 8037 section 3.1); no others exist here.
package enum SignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
    case edDSA = "EdDSA"
    case es256 = "ES256"
}

/// A private key, which has one algorithm.
package enum SignaturePrivateKey: Sendable {
    case ed25519(Ed25519.PrivateKey)
    case p256(P256.PrivateKey)

    package var algorithm: SignatureAlgorithm {
        switch self {
        case .ed25519: .edDSA
        case .p256: .es256
        }
    }

    package var publicKey: SignaturePublicKey {
        switch self {
        case .ed25519(let key): .ed25519(key.publicKey)
        case .p256(let key): .p256(key.publicKey)
        }
    }

    package func signature(for data: some ContiguousBytes) throws(CryptoError) -> [UInt8] {
        switch self {
        case .ed25519(let key): try key.signature(for: data)
        case .p256(let key): try key.signature(for: data)
        }
    }
}

/// A public key, which verifies with its own algorithm, whatever a token says (RFC 8725 section 3.1).
package enum SignaturePublicKey: Sendable, Equatable {
    case ed25519(Ed25519.PublicKey)
    case p256(P256.PublicKey)

    package var algorithm: SignatureAlgorithm {
        switch self {
        case .ed25519: .edDSA
        case .p256: .es256
        }
    }

    package func isValidSignature(_ signature: some ContiguousBytes, for data: some ContiguousBytes) -> Bool {
        switch self {
        case .ed25519(let key): key.isValidSignature(signature, for: data)
        case .p256(let key): key.isValidSignature(signature, for: data)
        }
    }
}
