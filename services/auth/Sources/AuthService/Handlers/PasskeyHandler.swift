package import Contracts
internal import LibCrypto
package import RPCCore
internal import ServiceKit

/// The methods of `lockstep.auth.v1.PasskeyService`.
package struct PasskeyHandler: PasskeyServiceHandler {
    let auth: AuthHandler

    private var store: AuthStore { auth.store }
    private var party: RelyingParty { store.policy.relyingParty }

    package func beginPasskey(_ request: AuthBeginPasskeyRequest, _ context: CallContext) async throws -> AuthPasskeyCreation {
        let user = try context.requireUser()
        try await auth.reauthenticate(user, password: request.currentPassword, context)
        guard let account = try await store.user(user.subject) else { throw AuthError.userNotFound }
        let known = try await store.passkeys(of: user.subject)
        guard known.count < AuthPolicy.passkeysPerUser else { throw AuthError.tooManyPasskeys }
        var response = AuthPasskeyCreation()
        response.challenge = Base64URL.encode(try await store.makePasskeyChallenge(session: user.sessionID))
        response.rpID = party.id
        response.rpName = party.name
        // Random, and nothing personal (WebAuthn Level 3, section 14.6.1).
        response.userHandle = Base64URL.encode(Array(user.subject.utf8))
        response.userName = account.email
        response.algorithms = CredentialKey.algorithms
        response.excludeCredentials = known.map { Base64URL.encode($0.credentialID) }
        response.timeoutMs = Self.timeout
        return response
    }

    package func createPasskey(_ request: AuthCreatePasskeyRequest, _ context: CallContext) async throws -> AuthPasskey {
        let user = try context.requireUser()
        let name = try PersonName(request.name)
        guard let clientData = Base64URL.decode(request.clientDataJson),
            let attestation = Base64URL.decode(request.attestationObject),
            let challenge = try? party.challenge(clientData, .create),
            try await store.usePasskeyChallenge(challenge, session: user.sessionID),
            let data = try? party.register(attestation: attestation), let credential = data.credential
        else { throw AuthError.passkeyRefused }
        let passkey = StoredPasskey(
            id: try Identifier.passkey.make(), userID: user.subject, credentialID: credential.id,
            publicKey: credential.publicKey, signCount: data.signCount, isSynced: data.isBackupEligible, name: name.text,
            createdAt: store.clock.now, lastUsedAt: nil)
        try await store.add(passkey, session: user.sessionID, context.rowOrigin)
        return passkey.message
    }

    package func listPasskeys(_ request: AuthListPasskeysRequest, _ context: CallContext) async throws -> AuthListPasskeysResponse {
        var response = AuthListPasskeysResponse()
        response.passkeys = try await store.passkeys(of: context.requireUser().subject).map(\.message)
        return response
    }

    package func deletePasskey(_ request: AuthDeletePasskeyRequest, _ context: CallContext) async throws -> AuthDeletePasskeyResponse {
        let user = try context.requireUser()
        try await store.requireRecentAuthentication(user.sessionID, of: user.subject)
        try await store.deletePasskey(request.passkeyID, of: user.subject, keeping: user.sessionID, context.rowOrigin)
        return AuthDeletePasskeyResponse()
    }

    package func beginPasskeySession(
        _ request: AuthBeginPasskeySessionRequest, _ context: CallContext
    ) async throws -> AuthPasskeyAssertion {
        var response = AuthPasskeyAssertion()
        response.challenge = Base64URL.encode(try await store.makePasskeyChallenge(session: nil))
        response.rpID = party.id
        response.timeoutMs = Self.timeout
        return response
    }

    package func createPasskeySession(
        _ request: AuthCreatePasskeySessionRequest, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        guard let clientData = Base64URL.decode(request.clientDataJson),
            let credential = Base64URL.decode(request.credentialID),
            let authenticatorData = Base64URL.decode(request.authenticatorData),
            let signature = Base64URL.decode(request.signature), let handle = Base64URL.decode(request.userHandle),
            let challenge = try? party.challenge(clientData, .get),
            try await store.usePasskeyChallenge(challenge, session: nil)
        else { throw AuthError.invalidPasskey }
        guard let passkey = try await store.passkey(credential: credential), handle == Array(passkey.userID.utf8) else {
            try await store.recordPasskey(.passkeyRefused, user: nil, detail: "unknown", context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        let data: AuthenticatorData
        do {
            data = try party.verify(
                passkey, authenticatorData: authenticatorData, clientData: clientData, signature: signature)
        } catch {
            try await store.recordPasskey(.passkeyRefused, user: passkey.userID, detail: error.rawValue, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        guard passkey.allows(data.signCount) else {
            try await store.recordPasskey(.passkeyCopied, user: passkey.userID, detail: passkey.id, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        guard let credentials = try await store.credentials(userID: passkey.userID), credentials.emailVerified,
            !credentials.isDisabled
        else { throw AuthError.invalidPasskey }
        return try await auth.startSession(
            credentials, .passkey(PasskeyProof(passkey: passkey, signCount: data.signCount)), context)
    }

    /// Milliseconds.
    private static let timeout = UInt32(clamping: AuthPolicy.passkeyChallengeLifetime.components.seconds * 1000)
}

extension StoredPasskey {
    var message: AuthPasskey {
        var message = AuthPasskey()
        message.passkeyID = id
        message.name = name
        message.createdAt = createdAt.message
        if let lastUsedAt { message.lastUsedAt = lastUsedAt.message }
        message.synced = isSynced
        return message
    }
}
