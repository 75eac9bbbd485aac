package import Contracts
package import RPCCore
import SwiftProtobuf

/// `PasswordService`: bcrypt, and which passwords may be chosen.
package struct PasswordHandler: PasswordServiceHandler {
    private let hasher: PasswordHasher
    private let strength: PasswordStrength

    package init(hasher: PasswordHasher, strength: PasswordStrength) {
        self.hasher = hasher
        self.strength = strength
    }

    package func hash(_ request: EncryptionHashRequest, _ context: CallContext) throws -> EncryptionHashResponse {
        // A hash takes a core for long: not for a caller who is gone.
        try context.cancellation.check()
        let hash = try hasher.hash(request.password)
        return .with { $0.passwordHash = hash }
    }

    package func verify(
        _ request: EncryptionVerifyPasswordRequest, _ context: CallContext
    ) throws -> EncryptionVerifyPasswordResponse {
        try context.cancellation.check()
        let result = try hasher.verify(request.password, hash: request.passwordHash)
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
            $0.reasons = reasons.map { reason in
                .with {
                    $0.code = reason.code
                    $0.message = reason.message
                }
            }
        }
    }
}
