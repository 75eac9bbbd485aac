package import Contracts
internal import LibCrypto
package import RPCCore
internal import ServiceKit

/// The methods of `lockstep.auth.v1.AccountService`: what users do with their own account beyond signing in.
package struct AccountHandler: AccountServiceHandler {
    let auth: AuthHandler

    private var store: AuthStore { auth.store }

    package func listAuditEvents(
        _ request: AuthListAuditEventsRequest, _ context: CallContext
    ) async throws -> AuthListAuditEventsResponse {
        var search = AuditSearch()
        search.userID = try context.requireUser().subject
        search.limit = Page.size(request.pageSize)
        search.after = request.pageToken
        return try await store.auditEvents(search).message(of: search, isOwn: true)
    }

    package func changeAddress(
        _ request: AuthChangeAddressRequest, _ context: CallContext
    ) async throws -> AuthChangeAddressResponse {
        let user = try context.requireUser()
        let email = try EmailAddress(request.email)
        try await auth.reauthenticate(user, password: request.currentPassword, context)
        guard let account = try await store.user(user.subject) else { throw AuthError.userNotFound }
        guard account.email != email.text else {
            throw AuthError.invalidField("email", "That is your address already.")
        }
        try await store.requestAddressChange(email, of: user.subject, session: user.sessionID, context.rowOrigin)
        var response = AuthChangeAddressResponse()
        response.status = "confirmations_sent"
        return response
    }

    package func confirmAddress(
        _ request: AuthConfirmAddressRequest, _ context: CallContext
    ) async throws -> AuthConfirmAddressResponse {
        let token = OpaqueToken(request.token, .addressChange) ?? OpaqueToken(request.token, .addressApproval)
        guard let token else { throw AuthError.invalidLinkToken }
        var response = AuthConfirmAddressResponse()
        response.status = try await store.confirmAddress(token, context.rowOrigin).rawValue
        return response
    }

    package func exportUserData(
        _ request: AuthExportUserDataRequest, _ context: CallContext
    ) async throws -> AuthUserData {
        let user = try context.requireUser()
        try await store.requireRecentAuthentication(user.sessionID, of: user.subject)
        return try await store.data(of: user.subject).message(session: user.sessionID, idleAfter: store.policy.sessionIdle)
    }

    package func confirmPassword(_ request: AuthConfirmPasswordRequest, _ context: CallContext) async throws -> AuthStepUpResponse {
        let user = try context.requireUser()
        try await auth.requirePassword(request.currentPassword, of: user, context)
        var response = AuthStepUpResponse()
        response.expiresAt = try await store.confirmPassword(
            in: user.sessionID, of: user.subject, context.rowOrigin
        ).message
        return response
    }

    package func deleteUser(_ request: AuthDeleteUserRequest, _ context: CallContext) async throws -> AuthDeleteUserResponse {
        let user = try context.requireUser()
        try await auth.reauthenticate(user, password: request.currentPassword, context)
        try await store.deleteUser(user.subject, session: user.sessionID, context.rowOrigin)
        return AuthDeleteUserResponse()
    }
}

extension UserData {
    fileprivate func message(session: String, idleAfter: Duration) -> AuthUserData {
        let trail = events.message(of: search, isOwn: true)
        var message = AuthUserData()
        message.user = account.user.message
        message.roles = account.roles
        message.tier = tier?.rawValue ?? ""
        message.sessions = sessions.map { $0.message(current: $0.id == session, idleAfter: idleAfter) }
        message.factors = factors.map(\.message)
        message.passkeys = passkeys.map(\.message)
        message.knownAgents = knownAgents.map(\.message)
        if let addressChange { message.addressChange = addressChange.message }
        message.events = trail.events
        message.nextPageToken = trail.nextPageToken
        return message
    }
}

extension WaitingAddressChange {
    fileprivate var message: AuthWaitingAddressChange {
        var message = AuthWaitingAddressChange()
        message.email = email
        message.approved = isApproved
        message.confirmed = isConfirmed
        message.expiresAt = expiresAt.message
        return message
    }
}

extension KnownAgent {
    fileprivate var message: AuthKnownAgent {
        var message = AuthKnownAgent()
        message.digest = Hex.encode(hash)
        message.signIns = UInt64(clamping: signIns)
        message.lastSeenAt = lastSeenAt.message
        return message
    }
}
