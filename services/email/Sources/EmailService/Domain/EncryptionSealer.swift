package import ContractClients
private import Contracts
private import Foundation
package import RPCCore
private import ServiceKit

/// Seals through the Encryption service.
package struct EncryptionSealer: Sealer {
    /// The key that Encryption's policy gives to this service alone.
    package static let keyName = "email-outbox"

    private let client: EncryptionServiceClient

    package init(client: EncryptionServiceClient) { self.client = client }

    package func seal(_ plaintext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        var request = EncryptionEncryptRequest()
        request.keyName = Self.keyName
        request.plaintext = Data(plaintext)
        request.context = Data(context.utf8)
        return try await calling(.encryption) { () async throws(RPCError) in
            Array(try await client.encrypt(request, options).ciphertext)
        }
    }

    package func open(_ ciphertext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        var request = EncryptionDecryptRequest()
        request.keyName = Self.keyName
        request.ciphertext = Data(ciphertext)
        request.context = Data(context.utf8)
        return Array(try await decrypt(request, options).plaintext)
    }

    private func decrypt(
        _ request: EncryptionDecryptRequest, _ options: CallOptions
    ) async throws -> EncryptionDecryptResponse {
        do {
            return try await calling(.encryption) { () async throws(RPCError) in
                try await client.decrypt(request, options)
            }
        } catch let error as DownstreamError where error.code == .invalidArgument {
            throw EmailError.unreadablePayload
        }
    }
}
