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
        try await auth.reauthenticate(user, password: request.currentPassword, binding: true, context)
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
        // Again, as in FactorHandler: what allowed it may be over since the device was asked.
        try await store.requireStepUp(user.sessionID, of: user.subject, binding: true)
        let name = try PersonName(request.name)
        do {
            let (data, credential) = try await registered(request, user)
            let passkey = StoredPasskey(
                id: try Identifier.passkey.make(), userID: user.subject, credentialID: credential.id,
                publicKey: credential.publicKey, signCount: data.signCount, isSynced: data.isBackupEligible, name: name.text,
                createdAt: store.clock.now, lastUsedAt: nil)
            try await add(passkey, user, context)
            return passkey.message
        } catch let failure as RelyingParty.Failure {
            try await store.recordRefusedPasskey(
                user: user.subject, session: user.sessionID, detail: "registration \(failure.rawValue)", context.rowOrigin)
            throw AuthError.passkeyRefused
        }
    }

    /// - Throws: `RelyingParty.Failure`.
    private func registered(
        _ request: AuthCreatePasskeyRequest, _ user: UserIdentity
    ) async throws -> (AuthenticatorData, AuthenticatorData.Credential) {
        guard let clientData = Base64URL.decode(request.clientDataJson),
            let attestation = Base64URL.decode(request.attestationObject)
        else { throw RelyingParty.Failure.malformed }
        let challenge = try party.challenge(clientData, .create)
        guard try await store.usePasskeyChallenge(challenge, session: user.sessionID) else {
            throw RelyingParty.Failure.challenge
        }
        let data = try party.register(attestation: attestation, clientData: clientData)
        guard let credential = data.credential else { throw RelyingParty.Failure.malformed }
        return (data, credential)
    }

    /// - Throws: `RelyingParty.Failure.taken` beside what the store throws.
    private func add(_ passkey: StoredPasskey, _ user: UserIdentity, _ context: CallContext) async throws {
        do {
            try await store.add(passkey, session: user.sessionID, context.rowOrigin)
        } catch AuthError.passkeyRefused {
            throw RelyingParty.Failure.taken
        }
    }

    package func listPasskeys(_ request: AuthListPasskeysRequest, _ context: CallContext) async throws -> AuthListPasskeysResponse {
        var response = AuthListPasskeysResponse()
        response.passkeys = try await store.passkeys(of: context.requireUser().subject).map(\.message)
        return response
    }

    package func deletePasskey(_ request: AuthDeletePasskeyRequest, _ context: CallContext) async throws -> AuthDeletePasskeyResponse {
        let user = try context.requireUser()
        try await store.requireStepUp(user.sessionID, of: user.subject, binding: true)
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
        var passkey: StoredPasskey?
        do {
            guard let credential = Base64URL.decode(request.credentialID), let handle = Base64URL.decode(request.userHandle) else {
                throw RelyingParty.Failure.malformed
            }
            // First, so that a refusal of any kind is written down for whom it concerns.
            passkey = try await store.passkey(credential: credential).flatMap { handle == Array($0.userID.utf8) ? $0 : nil }
            return try await signIn(passkey, request, context)
        } catch let failure as RelyingParty.Failure {
            try await store.recordRefusedPasskey(user: passkey?.userID, detail: failure.rawValue, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
    }

    /// - Throws: `RelyingParty.Failure` for what is yet to be written down; `AuthError.invalidPasskey` for what was.
    private func signIn(
        _ passkey: StoredPasskey?, _ request: AuthCreatePasskeySessionRequest, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        guard let clientData = Base64URL.decode(request.clientDataJson),
            let authenticatorData = Base64URL.decode(request.authenticatorData),
            let signature = Base64URL.decode(request.signature)
        else { throw RelyingParty.Failure.malformed }
        guard try await store.usePasskeyChallenge(party.challenge(clientData, .get), session: nil) else {
            throw RelyingParty.Failure.challenge
        }
        guard let passkey else { throw RelyingParty.Failure.unknown }
        let data = try party.verify(passkey, authenticatorData: authenticatorData, clientData: clientData, signature: signature)
        guard passkey.allows(data.signCount) else {
            try await store.recordCopied(passkey, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        guard let credentials = try await store.credentials(userID: passkey.userID) else { throw RelyingParty.Failure.unknown }
        guard credentials.emailVerified, !credentials.isDisabled else {
            let event: AuditEvent = credentials.isDisabled ? .signInDisabled : .signInUnverified
            try await store.recordRefusedSignIn(event, user: credentials.userID, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
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
        message.credentialID = Base64URL.encode(credentialID)
        return message
    }
}
