package import Contracts
import FoundationEssentials
import JOSE
import LibCrypto
package import RPCCore
import SwiftProtobuf

/// `KeyService`: what is done to keys.
package struct KeyHandler: KeyServiceHandler {
    private let administration: KeyAdministration

    package init(administration: KeyAdministration) { self.administration = administration }

    package func createKey(
        _ request: EncryptionCreateKeyRequest, _ context: CallContext
    ) throws -> EncryptionCreateKeyResponse {
        let options = KeyOptions(isExportable: request.exportable, isDerived: request.derived)
        let blueprint = KeyAdministration.Blueprint(
            name: request.keyName, kind: try kind(request.usage, request.algorithm), options: options,
            settings: settings(request.rotateAfterS, request.rotateAfterUses))
        try administration.create(blueprint, caller: context.administrator)
        return EncryptionCreateKeyResponse()
    }

    package func listKeys(
        _ request: EncryptionListKeysRequest, _ context: CallContext
    ) throws -> EncryptionListKeysResponse {
        .with { $0.keys = administration.list(caller: context.peer).map(EncryptionDescribeKeyResponse.init) }
    }

    package func configureKey(
        _ request: EncryptionConfigureKeyRequest, _ context: CallContext
    ) throws -> EncryptionConfigureKeyResponse {
        try administration.configure(request.keyName, caller: context.administrator) { settings in
            if request.hasMinDecryptionVersion { settings.minDecryption = request.minDecryptionVersion }
            if request.hasMinEncryptionVersion { settings.minEncryption = request.minEncryptionVersion }
            if request.hasRotateAfterS { settings.rotateAfter = request.rotateAfterS }
            if request.hasRotateAfterUses { settings.rotateAfterUses = request.rotateAfterUses }
        }
        return EncryptionConfigureKeyResponse()
    }

    package func disableKey(
        _ request: EncryptionDisableKeyRequest, _ context: CallContext
    ) throws -> EncryptionDisableKeyResponse {
        try administration.disable(request.keyName, caller: context.administrator)
        return EncryptionDisableKeyResponse()
    }

    package func enableKey(
        _ request: EncryptionEnableKeyRequest, _ context: CallContext
    ) throws -> EncryptionEnableKeyResponse {
        try administration.enable(request.keyName, caller: context.administrator)
        return EncryptionEnableKeyResponse()
    }

    package func scheduleKeyDestruction(
        _ request: EncryptionScheduleKeyDestructionRequest, _ context: CallContext
    ) throws -> EncryptionScheduleKeyDestructionResponse {
        let time = try administration.scheduleDestruction(
            request.keyName, days: request.waitingDays, caller: context.administrator)
        return .with { $0.destroyAt = Google_Protobuf_Timestamp(microseconds: time) }
    }

    package func cancelKeyDestruction(
        _ request: EncryptionCancelKeyDestructionRequest, _ context: CallContext
    ) throws -> EncryptionCancelKeyDestructionResponse {
        try administration.cancelDestruction(request.keyName, caller: context.administrator)
        return EncryptionCancelKeyDestructionResponse()
    }

    package func exportKey(
        _ request: EncryptionExportKeyRequest, _ context: CallContext
    ) throws -> EncryptionExportKeyResponse {
        var exported = try administration.export(
            request.keyName, version: request.keyVersion, caller: context.administrator)
        defer { exported.material.withUnsafeMutableBytes { wipe($0) } }
        return .with {
            $0.keyMaterial = Data(exported.material)
            $0.keyVersion = exported.version
        }
    }

    package func getWrappingKey(
        _ request: EncryptionGetWrappingKeyRequest, _ context: CallContext
    ) throws -> EncryptionGetWrappingKeyResponse {
        let wrapping = try administration.wrappingKey(caller: context.administrator)
        return .with {
            $0.publicKey = wrapping.publicKey
            $0.expiresAt = Google_Protobuf_Timestamp(microseconds: wrapping.expiresAt)
        }
    }

    package func importKey(
        _ request: EncryptionImportKeyRequest, _ context: CallContext
    ) throws -> EncryptionImportKeyResponse {
        let options = KeyOptions(isExportable: request.exportable, isDerived: request.derived)
        let blueprint = KeyAdministration.Blueprint(
            name: request.keyName, kind: try kind(request.usage, request.algorithm), options: options,
            settings: settings(request.rotateAfterS, request.rotateAfterUses))
        try administration.importKey(
            blueprint, wrapped: Array(request.wrappedKey), caller: context.administrator)
        return EncryptionImportKeyResponse()
    }

    private func settings(_ seconds: UInt64, _ uses: UInt64) -> KeySettings {
        var settings = KeySettings()
        settings.rotateAfter = seconds
        settings.rotateAfterUses = uses
        return settings
    }

    private func kind(
        _ usage: EncryptionDescribeKeyResponse.Usage, _ algorithm: EncryptionSigningAlgorithm
    ) throws(EncryptionError) -> KeyKind {
        if usage != .sign, algorithm != .unspecified {
            throw .invalid(field: "algorithm", "It is for keys of usage SIGN.")
        }
        switch (usage, algorithm) {
        case (.aead, _): return .aead
        case (.mac, _): return .mac
        case (.sign, .unspecified), (.sign, .eddsa): return .sign(.edDSA)
        case (.sign, .es256): return .sign(.es256)
        case (.sign, .UNRECOGNIZED): throw .invalid(field: "algorithm", "It must be EDDSA or ES256.")
        case (.unspecified, _), (.UNRECOGNIZED, _):
            throw .invalid(field: "usage", "It must be AEAD, MAC or SIGN.")
        }
    }
}
