package import Contracts
package import RPCCore

/// The methods of `lockstep.auth.v1.AccountService`: what users do with their own account beyond signing in.
package struct AccountHandler: AccountServiceHandler {
    let store: AuthStore

    package func listAuditEvents(
        _ request: AuthListAuditEventsRequest, _ context: CallContext
    ) async throws -> AuthListAuditEventsResponse {
        var search = AuditSearch()
        search.userID = try context.requireUser().subject
        search.limit = Page.size(request.pageSize)
        search.after = request.pageToken
        return try await store.auditEvents(search).message(of: search)
    }
}
