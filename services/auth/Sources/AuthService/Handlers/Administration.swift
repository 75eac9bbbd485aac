internal import Contracts
internal import RPCCore
internal import SwiftProtobuf

/// What admins and the operator ask for, whichever way it came.
struct Administration: Sendable {
    let store: AuthStore

    /// Who changes other people's accounts has shown a second factor lately, or the password, if they have none. A machine
    /// client has shown its secret for the token that it comes with.
    func admin(_ context: CallContext) async throws -> Actor {
        let user = try context.requireUser()
        if Identifier.client.names(user.subject) { return .client(user.subject) }
        try await store.requireRecentAuthentication(user.sessionID, of: user.subject)
        return .admin(user.subject)
    }

    func searchUsers(_ request: AuthSearchUsersRequest) async throws -> AuthSearchUsersResponse {
        var search = AccountSearch()
        search.query = Self.folded(request.query)
        search.role = request.role
        search.isDisabled = request.disabled
        search.limit = Page.size(request.pageSize)
        search.after = request.pageToken
        let accounts = try await store.accounts(search)
        var response = AuthSearchUsersResponse()
        response.users = accounts.map(\.message)
        if accounts.count == search.limit { response.nextPageToken = accounts.last?.user.id ?? "" }
        return response
    }

    func grantRole(_ request: AuthGrantRoleRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        if request.role == Role.admin { try actor.requirePerson() }
        return try await store.grantRole(request.role, to: request.userID, by: actor, context.rowOrigin).message
    }

    func revokeRole(_ request: AuthRevokeRoleRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        try await store.revokeRole(request.role, of: request.userID, by: actor, context.rowOrigin).message
    }

    func disableUser(_ request: AuthDisableUserRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        try await store.disable(request.userID, by: actor, context.rowOrigin).message
    }

    func enableUser(_ request: AuthEnableUserRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        try await store.enable(request.userID, by: actor, context.rowOrigin).message
    }

    func setTier(_ request: AuthSetTierRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        let tier = Tier(rawValue: request.tier)
        guard request.tier.isEmpty || tier != nil else {
            let names = Tier.allCases.map(\.rawValue).joined(separator: ", ")
            throw AuthError.invalidField("tier", "One of \(names), or empty.")
        }
        return try await store.set(tier: tier, of: request.userID, by: actor, context.rowOrigin).message
    }

    func resetFactors(_ request: AuthResetFactorsRequest, by actor: Actor, _ context: CallContext) async throws -> AuthAccount {
        try actor.requirePerson()
        return try await store.resetFactors(of: request.userID, by: actor, context.rowOrigin).message
    }

    func raiseTokenVersion(
        _ request: AuthRaiseTokenVersionRequest, by actor: Actor, _ context: CallContext
    ) async throws -> AuthRaiseTokenVersionResponse {
        guard request.everyone == request.userID.isEmpty else {
            throw AuthError.invalidField("user_id", "Name one user, or say `everyone`; not both.")
        }
        guard Duration.seconds(Int64(request.graceS)) <= AuthPolicy.longestGrace else {
            throw AuthError.invalidField(
                "grace_s", "At most \(AuthPolicy.longestGrace.components.seconds) seconds.")
        }
        let raised = try await store.raiseTokenVersion(
            for: request.everyone ? .everyone : .user(request.userID), grace: .seconds(Int64(request.graceS)), by: actor,
            context.rowOrigin)
        var response = AuthRaiseTokenVersionResponse()
        response.minimumVersion = raised.version
        response.effectiveAt = raised.effectiveAt.message
        return response
    }

    func searchAuditEvents(_ request: AuthSearchAuditEventsRequest) async throws -> AuthListAuditEventsResponse {
        var search = AuditSearch()
        if !request.userID.isEmpty { search.userID = request.userID }
        search.event = request.event
        if request.hasSince { search.since = Timestamp(request.since) }
        if request.hasUntil { search.until = Timestamp(request.until) }
        search.limit = Page.size(request.pageSize)
        search.after = request.pageToken
        return try await store.auditEvents(search).message(of: search, isOwn: false)
    }

    /// Addresses are kept in lower case, names are compared in it; ids are not.
    private static func folded(_ query: String) -> String {
        query.hasPrefix(Identifier.user.rawValue) ? query : query.lowercased()
    }
}

extension AccountRecord {
    var message: AuthAccount {
        var message = AuthAccount()
        message.userID = user.id
        message.email = user.email
        message.name = user.name
        message.emailVerified = user.emailVerified
        message.createdAt = user.createdAt.message
        message.roles = roles
        message.disabled = isDisabled
        message.secondFactor = hasSecondFactor
        message.passkeys = UInt32(clamping: passkeys)
        message.tier = tier?.rawValue ?? ""
        message.sessions = UInt32(clamping: liveSessions)
        if let lastSignInAt { message.lastSignInAt = lastSignInAt.message }
        return message
    }
}

extension [AuditRecord] {
    /// - Parameter isOwn: For the user whom they are about, who is not to learn where an admin sits.
    func message(of search: AuditSearch, isOwn: Bool) -> AuthListAuditEventsResponse {
        var response = AuthListAuditEventsResponse()
        response.events = map { $0.message(isOwn: isOwn) }
        if count == search.limit { response.nextPageToken = last?.id ?? "" }
        return response
    }
}

extension AuditRecord {
    fileprivate func message(isOwn: Bool) -> AuthAuditEvent {
        var message = AuthAuditEvent()
        message.eventID = id
        message.at = at.message
        message.event = event
        message.subject = subject ?? ""
        message.actor = actor ?? ""
        message.detail = detail
        message.sessionID = sessionID ?? ""
        message.requestID = requestID
        guard !isOwn || actor == nil || actor == subject else { return message }
        message.address = address
        message.userAgent = userAgent
        return message
    }
}

extension Timestamp {
    /// Times that microseconds cannot hold become the nearest that they can.
    init(_ message: Google_Protobuf_Timestamp) {
        let (seconds, overflow) = message.seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, isTooLate) = seconds.addingReportingOverflow(Int64(message.nanos / 1000))
        let nearest = message.seconds < 0 ? Int64.min : Int64.max
        self.init(microseconds: overflow || isTooLate ? nearest : sum)
    }
}
