package import Contracts
package import RPCCore

/// The methods of `lockstep.auth.v1.UserAdminService`: for users with the role `admin`, whom the gateway vouches for.
package struct UserAdminHandler: UserAdminServiceHandler {
    let administration: Administration

    init(store: AuthStore) { administration = Administration(store: store) }

    package func searchUsers(_ request: AuthSearchUsersRequest, _ context: CallContext) async throws -> AuthSearchUsersResponse {
        try await administration.searchUsers(request)
    }

    package func getAccount(_ request: AuthGetAccountRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.store.account(request.userID).message
    }

    package func grantRole(_ request: AuthGrantRoleRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.grantRole(request, by: administration.admin(context), context)
    }

    package func revokeRole(_ request: AuthRevokeRoleRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.revokeRole(request, by: administration.admin(context), context)
    }

    package func disableUser(_ request: AuthDisableUserRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.disableUser(request, by: administration.admin(context), context)
    }

    package func enableUser(_ request: AuthEnableUserRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.enableUser(request, by: administration.admin(context), context)
    }

    package func raiseTokenVersion(
        _ request: AuthRaiseTokenVersionRequest, _ context: CallContext
    ) async throws -> AuthRaiseTokenVersionResponse {
        try await administration.raiseTokenVersion(request, by: administration.admin(context), context)
    }

    package func searchAuditEvents(
        _ request: AuthSearchAuditEventsRequest, _ context: CallContext
    ) async throws -> AuthListAuditEventsResponse {
        try await administration.searchAuditEvents(request)
    }

    package func setTier(_ request: AuthSetTierRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.setTier(request, by: administration.admin(context), context)
    }

    package func resetFactors(_ request: AuthResetFactorsRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.resetFactors(request, by: administration.admin(context), context)
    }
}
