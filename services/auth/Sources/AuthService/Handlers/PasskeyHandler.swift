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
        response.challenge = Base64URL.encode(try await store.makePasskeyChallenge(for: .create, session: user.sessionID))
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
        try await store.requireStepUp(user.sessionID, of: user.subject)
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
        guard try await store.usePasskeyChallenge(challenge, for: .create, session: user.sessionID) else {
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
        try await store.requireStepUp(user.sessionID, of: user.subject)
        try await store.deletePasskey(request.passkeyID, of: user.subject, keeping: user.sessionID, context.rowOrigin)
        return AuthDeletePasskeyResponse()
    }

    package func beginPasskeySession(
        _ request: AuthBeginPasskeySessionRequest, _ context: CallContext
    ) async throws -> AuthPasskeyAssertion {
        try await assertion(session: nil)
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
            let shown = ShownPasskey(request.clientDataJson, request.authenticatorData, request.signature)
            return try await signIn(prove(passkey, shown, session: nil, context), context)
        } catch let failure as RelyingParty.Failure {
            try await store.recordRefusedPasskey(user: passkey?.userID, detail: failure.rawValue, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
    }

    package func beginPasskeyStepUp(
        _ request: AuthBeginPasskeyStepUpRequest, _ context: CallContext
    ) async throws -> AuthPasskeyAssertion {
        let user = try context.requireUser()
        let passkeys = try await store.passkeys(of: user.subject)
        guard !passkeys.isEmpty else { throw AuthError.passkeyNotFound }
        var response = try await assertion(session: user.sessionID)
        response.allowCredentials = passkeys.map { Base64URL.encode($0.credentialID) }
        return response
    }

    package func stepUpWithPasskey(
        _ request: AuthStepUpWithPasskeyRequest, _ context: CallContext
    ) async throws -> AuthStepUpResponse {
        let user = try context.requireUser()
        do {
            guard let credential = Base64URL.decode(request.credentialID) else { throw RelyingParty.Failure.malformed }
            let passkey = try await store.passkey(credential: credential).flatMap { $0.userID == user.subject ? $0 : nil }
            let shown = ShownPasskey(request.clientDataJson, request.authenticatorData, request.signature)
            let proof = try await prove(passkey, shown, session: user.sessionID, context)
            var response = AuthStepUpResponse()
            response.expiresAt = try await store.stepUp(user.sessionID, with: proof, context.rowOrigin).message
            return response
        } catch let failure as RelyingParty.Failure {
            try await store.recordRefusedPasskey(
                user: user.subject, session: user.sessionID, detail: "step-up \(failure.rawValue)", context.rowOrigin)
            throw AuthError.wrongPasskey
        } catch AuthError.invalidPasskey {
            throw AuthError.wrongPasskey
        }
    }

    /// - Parameter session: in which a passkey is to be shown; nil to sign in.
    private func assertion(session: String?) async throws -> AuthPasskeyAssertion {
        var response = AuthPasskeyAssertion()
        response.challenge = Base64URL.encode(try await store.makePasskeyChallenge(for: .get, session: session))
        response.rpID = party.id
        response.timeoutMs = Self.timeout
        return response
    }

    /// Uses the challenge up, and looks at what a device made for it.
    ///
    /// - Throws: `RelyingParty.Failure` for what is yet to be written down; `AuthError.invalidPasskey` for what was.
    private func prove(
        _ passkey: StoredPasskey?, _ shown: ShownPasskey?, session: String?, _ context: CallContext
    ) async throws -> PasskeyProof {
        guard let shown else { throw RelyingParty.Failure.malformed }
        guard try await store.usePasskeyChallenge(party.challenge(shown.clientData, .get), for: .get, session: session) else {
            throw RelyingParty.Failure.challenge
        }
        guard let passkey else { throw RelyingParty.Failure.unknown }
        let data = try party.verify(
            passkey, authenticatorData: shown.authenticatorData, clientData: shown.clientData, signature: shown.signature)
        guard passkey.allows(data.signCount) else {
            try await store.recordCopied(passkey, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        return PasskeyProof(passkey: passkey, signCount: data.signCount)
    }

    /// - Throws: as `prove`.
    private func signIn(_ proof: PasskeyProof, _ context: CallContext) async throws -> AuthSessionTokens {
        guard let credentials = try await store.credentials(userID: proof.passkey.userID) else {
            throw RelyingParty.Failure.unknown
        }
        guard credentials.emailVerified, !credentials.isDisabled else {
            let event: AuditEvent = credentials.isDisabled ? .signInDisabled : .signInUnverified
            try await store.recordRefusedSignIn(event, user: credentials.userID, context.rowOrigin)
            throw AuthError.invalidPasskey
        }
        return try await auth.startSession(credentials, .passkey(proof), context)
    }

    /// Milliseconds.
    private static let timeout = UInt32(clamping: AuthPolicy.passkeyChallengeLifetime.components.seconds * 1000)
}

/// What a device made for a challenge.
private struct ShownPasskey {
    let clientData: [UInt8]
    let authenticatorData: [UInt8]
    let signature: [UInt8]

    /// Nil when one of them is not base64url.
    init?(_ clientData: String, _ authenticatorData: String, _ signature: String) {
        guard let clientData = Base64URL.decode(clientData), let authenticatorData = Base64URL.decode(authenticatorData),
            let signature = Base64URL.decode(signature)
        else { return nil }
        (self.clientData, self.authenticatorData, self.signature) = (clientData, authenticatorData, signature)
    }
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
