package import Contracts
package import RPCCore

/// What gateways ask, so that a revoked session's access tokens are refused within a second and not after 15 minutes.
extension AuthHandler {
    package func watchRevocations(
        _ request: AuthWatchRevocationsRequest, _ context: CallContext
    ) async throws -> AuthWatchRevocationsResponse {
        let end = clock.now + waitingTime(request, context)
        while true {
            let mark = store.revocations.mark
            let found = try await store.revocations(after: request.afterSequence)
            let left = clock.now.duration(to: end)
            if !found.entries.isEmpty || left <= .zero { return found.message }
            try Task.checkCancellation()
            // Another auth process may revoke too, so the database is asked again while somebody waits.
            await store.revocations.wait(since: mark, atMost: min(left, pollInterval), clock: clock)
        }
    }

    package func checkSession(
        _ request: AuthCheckSessionRequest, _ context: CallContext
    ) async throws -> AuthCheckSessionResponse {
        var response = AuthCheckSessionResponse()
        response.live = try await store.isLive(session: request.sessionID)
        return response
    }

    package func recordDenial(
        _ request: AuthRecordDenialRequest, _ context: CallContext
    ) async throws -> AuthRecordDenialResponse {
        let user = try context.requireUser()
        try await store.recordDenial(
            of: request.method, user: user.subject, session: user.sessionID, context.rowOrigin)
        return AuthRecordDenialResponse()
    }

    /// Ends before the caller's deadline does: an empty answer says that the feed is alive.
    private func waitingTime(_ request: AuthWatchRevocationsRequest, _ context: CallContext) -> Duration {
        let asked = min(.milliseconds(Int64(request.waitMs)), longestWait)
        return min(asked, context.deadline.remaining() - answerMargin)
    }
}

private let longestWait: Duration = .seconds(20)
private let pollInterval: Duration = .milliseconds(200)
/// What is left of the caller's deadline for the answer to travel.
private let answerMargin: Duration = .milliseconds(250)

extension RevocationPage {
    fileprivate var message: AuthWatchRevocationsResponse {
        var response = AuthWatchRevocationsResponse()
        response.sequence = sequence
        response.revocations = entries.map { entry in
            var message = AuthRevocation()
            message.sessionID = entry.sessionID
            message.revokedAt = entry.revokedAt.message
            message.userID = entry.userID ?? ""
            message.everyone = entry.isForEveryone
            if let effectiveAt = entry.effectiveAt { message.effectiveAt = effectiveAt.message }
            return message
        }
        return response
    }
}
