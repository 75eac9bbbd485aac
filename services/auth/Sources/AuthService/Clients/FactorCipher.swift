internal import ContractClients
internal import Contracts
private import Foundation
internal import RPCCore
internal import ServiceKit

/// Seals the secrets of authenticator apps through Encryption, each for its own row: one that is copied into another
/// row does not open.
struct FactorCipher: Sendable {
    let client: EncryptionServiceClient
    let key: String

    func seal(_ secret: [UInt8], factor: String, user: String, _ options: CallOptions) async throws -> [UInt8] {
        var request = EncryptionEncryptRequest()
        request.keyName = key
        request.plaintext = Data(secret)
        request.context = context(factor, user)
        return try await calling(.encryption) { () async throws(RPCError) in
            Array(try await client.encrypt(request, options).ciphertext)
        }
    }

    func open(_ factor: Factor, user: String, _ options: CallOptions) async throws -> [UInt8] {
        var request = EncryptionDecryptRequest()
        request.keyName = key
        request.ciphertext = Data(factor.sealedSecret)
        request.context = context(factor.id, user)
        return try await calling(.encryption) { () async throws(RPCError) in
            Array(try await client.decrypt(request, options).plaintext)
        }
    }

    private func context(_ factor: String, _ user: String) -> Data { Data("auth factor \(factor) \(user)".utf8) }
}
