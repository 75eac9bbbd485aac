package import Contracts
package import RPCCore
import SwiftProtobuf

/// `PasswordService`: bcrypt, and which passwords may be chosen.
package struct PasswordHandler: PasswordServiceHandler {
    private let hasher: PasswordHasher
    private let strength: PasswordStrength
    private let keeper: KeyringKeeper?

    /// - Parameter keeper: Whom uses of the pepper's key are told; nil for nobody.
    package init(hasher: PasswordHasher, strength: PasswordStrength, keeper: KeyringKeeper? = nil) {
        self.hasher = hasher
        self.strength = strength
        self.keeper = keeper
    }

    private func tell(_ operation: KeyOperation, of hash: String, failed: Int = 0, _ context: CallContext) {
        guard let keeper, keeper.auditsUses, let pepper = StoredPassword(hash)?.pepper else { return }
        keeper.tell(
            operation, pepper.key, version: pepper.number, failed: failed, actor: context.peer.service, requestID: context.requestID)
    }

    package func hash(_ request: EncryptionHashRequest, _ context: CallContext) throws -> EncryptionHashResponse {
        // A hash takes a core for long: not for a caller who is gone.
        try context.cancellation.check()
        let hash = try hasher.hash(request.password)
        tell(.mac, of: hash, context)
        return .with { $0.passwordHash = hash }
    }

    package func verify(
        _ request: EncryptionVerifyPasswordRequest, _ context: CallContext
    ) throws -> EncryptionVerifyPasswordResponse {
        try context.cancellation.check()
        let result = try hasher.verify(request.password, hash: request.passwordHash)
        tell(.verifyMAC, of: request.passwordHash, failed: result.matches ? 0 : 1, context)
        return .with {
            $0.matches = result.matches
            $0.needsRehash = result.needsRehash
        }
    }

    package func checkStrength(
        _ request: EncryptionCheckStrengthRequest, _ context: CallContext
    ) throws -> EncryptionCheckStrengthResponse {
        let reasons = strength.reasons(
            request.password, contextWords: request.contextWords, withSecondFactor: request.multiFactor)
        return .with {
            $0.acceptable = reasons.isEmpty
            $0.minimumLength = UInt32(strength.minimum(withSecondFactor: request.multiFactor))
            $0.acceptableAlone = reasons.isEmpty && strength.isLongEnough(request.password, withSecondFactor: false)
            $0.minimumLengthAlone = UInt32(strength.minimum(withSecondFactor: false))
            $0.reasons = reasons.map { reason in
                .with {
                    $0.code = reason.code
                    $0.message = reason.message
                }
            }
        }
    }
}
