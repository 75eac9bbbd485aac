package import Contracts
package import RPCCore

/// The methods of `lockstep.auth.v1.UserOperatorService`: for whoever shows the operator's certificate.
package struct UserOperatorHandler: UserOperatorServiceHandler {
    let administration: Administration

    init(store: AuthStore) { administration = Administration(store: store) }

    package func searchUsers(_ request: AuthSearchUsersRequest, _ context: CallContext) async throws -> AuthSearchUsersResponse {
        try await administration.searchUsers(request)
    }

    package func grantRole(_ request: AuthGrantRoleRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.grantRole(request, by: .operator, context)
    }

    package func revokeRole(_ request: AuthRevokeRoleRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.revokeRole(request, by: .operator, context)
    }

    package func disableUser(_ request: AuthDisableUserRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.disableUser(request, by: .operator, context)
    }

    package func enableUser(_ request: AuthEnableUserRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.enableUser(request, by: .operator, context)
    }

    package func setTier(_ request: AuthSetTierRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.setTier(request, by: .operator, context)
    }

    package func resetFactors(_ request: AuthResetFactorsRequest, _ context: CallContext) async throws -> AuthAccount {
        try await administration.resetFactors(request, by: .operator, context)
    }

    package func raiseTokenVersion(
        _ request: AuthRaiseTokenVersionRequest, _ context: CallContext
    ) async throws -> AuthRaiseTokenVersionResponse {
        try await administration.raiseTokenVersion(request, by: .operator, context)
    }

    package func searchAuditEvents(
        _ request: AuthSearchAuditEventsRequest, _ context: CallContext
    ) async throws -> AuthListAuditEventsResponse {
        try await administration.searchAuditEvents(request)
    }
}
