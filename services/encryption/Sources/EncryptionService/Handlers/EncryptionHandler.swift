package import Contracts
import FoundationEssentials
package import RPCCore
import SwiftProtobuf

/// `EncryptionService`: named keys.
package struct EncryptionHandler: EncryptionServiceHandler {
    private let vault: Vault

    package init(vault: Vault) { self.vault = vault }

    package func encrypt(
        _ request: EncryptionEncryptRequest, _ context: CallContext
    ) throws -> EncryptionEncryptResponse {
        let sealed = try vault.encrypt(
            Array(request.plaintext), key: request.keyName, context: Array(request.context), caller: context.peer)
        return .with {
            $0.ciphertext = Data(sealed.ciphertext)
            $0.keyVersion = sealed.version
        }
    }

    package func decrypt(
        _ request: EncryptionDecryptRequest, _ context: CallContext
    ) throws -> EncryptionDecryptResponse {
        let plaintext = try vault.decrypt(
            Array(request.ciphertext), key: request.keyName, context: Array(request.context), caller: context.peer)
        return .with { $0.plaintext = Data(plaintext) }
    }

    package func rewrap(
        _ request: EncryptionRewrapRequest, _ context: CallContext
    ) throws -> EncryptionRewrapResponse {
        let sealed = try vault.rewrap(
            Array(request.ciphertext), key: request.keyName, context: Array(request.context), caller: context.peer)
        return .with {
            $0.ciphertext = Data(sealed.ciphertext)
            $0.keyVersion = sealed.version
        }
    }

    package func rotateKey(
        _ request: EncryptionRotateKeyRequest, _ context: CallContext
    ) throws -> EncryptionRotateKeyResponse {
        let version = try vault.rotate(request.keyName, caller: context.peer)
        return .with { $0.pendingVersion = version }
    }

    package func describeKey(
        _ request: EncryptionDescribeKeyRequest, _ context: CallContext
    ) throws -> EncryptionDescribeKeyResponse {
        let description = try vault.describe(request.keyName, caller: context.peer)
        return .with {
            $0.keyName = description.key.name
            $0.usage = description.key.usage == .aead ? .aead : .sign
            $0.primaryVersion = description.primary
            $0.pendingVersion = description.pending ?? 0
            $0.versions = description.key.versions.map(EncryptionKeyVersion.init)
        }
    }
}

extension EncryptionKeyVersion {
    fileprivate init(_ version: KeyVersion) {
        self.init()
        self.version = version.number
        createdAt = Google_Protobuf_Timestamp(microseconds: version.createdAt)
        activeAt = Google_Protobuf_Timestamp(microseconds: version.activeAt)
    }
}

extension Google_Protobuf_Timestamp {
    /// Microseconds since 1970.
    init(microseconds: Int64) {
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let borrow: Int64 = rest < 0 ? 1 : 0
        self.init(seconds: seconds - borrow, nanos: Int32((rest + borrow * 1_000_000) * 1000))
    }
}
