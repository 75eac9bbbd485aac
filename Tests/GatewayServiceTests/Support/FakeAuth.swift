import Contracts
import RPCCore
import SwiftProtobuf
import Synchronization

/// Auth as the gateway sees it: answers that tests set, a feed of ended sessions that really waits.
final class FakeAuth: AuthServiceHandler {
    struct State {
        var ended: [String] = []
        var waiting: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWaiter = 0
        var failure: RPCError?
        var contexts: [CallContext] = []
        var denials: [(method: String, context: CallContext)] = []
        var checks = 0
        var holds = false
        var held: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// The contexts of all calls of users' methods, in order.
    var contexts: [CallContext] { state.withLock { $0.contexts } }
    /// How often `CheckSession` was asked.
    var checks: Int { state.withLock { $0.checks } }

    /// What every user's method throws from now on.
    func fail(with error: RPCError?) { state.withLock { $0.failure = error } }

    /// `GetUser` waits from now on, until `release`.
    func hold() { state.withLock { $0.holds = true } }

    /// Calls of `GetUser` that wait.
    var held: Int { state.withLock { $0.held.count } }

    func release() {
        let held = state.withLock { state in
            state.holds = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    private func waitIfHeld() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLock { state in
                if state.holds { state.held.append(continuation) }
                return state.holds
            }
            if !waits { continuation.resume() }
        }
    }

    /// Denials that were noted, in order.
    var denials: [(method: String, context: CallContext)] { state.withLock { $0.denials } }

    func recordDenial(
        _ request: AuthRecordDenialRequest, _ context: CallContext
    ) async throws -> AuthRecordDenialResponse {
        state.withLock { $0.denials.append((request.method, context)) }
        return AuthRecordDenialResponse()
    }

    func end(session: String) {
        let waiting = state.withLock { state in
            state.ended.append(session)
            return state.waiting.values
        }
        for continuation in waiting { continuation.yield() }
    }

    private func enter(_ context: CallContext) throws {
        let failure = state.withLock { state in
            state.contexts.append(context)
            return state.failure
        }
        if let failure { throw failure }
    }

    private func tokens(_ session: String) -> AuthSessionTokens {
        .with {
            $0.accessToken = "access"
            $0.refreshToken = "refresh"
            $0.tokenType = "Bearer"
            $0.expiresIn = 900
            $0.sessionID = session
        }
    }

    func register(_ request: AuthRegisterRequest, _ context: CallContext) async throws -> AuthRegisterResponse {
        try enter(context)
        return .with { $0.status = "verification_sent" }
    }

    func verifyEmail(_ request: AuthVerifyEmailRequest, _ context: CallContext) async throws -> AuthUser {
        try enter(context)
        return .with { $0.userID = "usr_1" }
    }

    func resendVerification(
        _ request: AuthResendVerificationRequest, _ context: CallContext
    ) async throws -> AuthResendVerificationResponse {
        try enter(context)
        return .with { $0.status = "verification_sent" }
    }

    func createSession(_ request: AuthCreateSessionRequest, _ context: CallContext) async throws -> AuthSessionTokens {
        try enter(context)
        return tokens("ses_new")
    }

    func refreshTokens(_ request: AuthRefreshTokensRequest, _ context: CallContext) async throws -> AuthSessionTokens {
        try enter(context)
        return tokens("ses_1")
    }

    func getUser(_ request: AuthGetUserRequest, _ context: CallContext) async throws -> AuthUser {
        try enter(context)
        await waitIfHeld()
        let user = try context.requireUser()
        return .with {
            $0.userID = user.subject
            $0.email = "ada@example.org"
        }
    }

    func changePassword(
        _ request: AuthChangePasswordRequest, _ context: CallContext
    ) async throws -> AuthChangePasswordResponse {
        try enter(context)
        return AuthChangePasswordResponse()
    }

    func listSessions(
        _ request: AuthListSessionsRequest, _ context: CallContext
    ) async throws -> AuthListSessionsResponse {
        try enter(context)
        return AuthListSessionsResponse()
    }

    func revokeAllSessions(
        _ request: AuthRevokeAllSessionsRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        try enter(context)
        return AuthRevokeSessionResponse()
    }

    func revokeCurrentSession(
        _ request: AuthRevokeCurrentSessionRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        try enter(context)
        end(session: try context.requireUser().sessionID)
        return AuthRevokeSessionResponse()
    }

    func revokeSession(
        _ request: AuthRevokeSessionRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        try enter(context)
        throw RPCError(.notFound, "There is no such session.", reason: "session_not_found")
    }

    func requestPasswordReset(
        _ request: AuthRequestPasswordResetRequest, _ context: CallContext
    ) async throws -> AuthRequestPasswordResetResponse {
        try enter(context)
        return .with { $0.status = "reset_sent" }
    }

    func resetPassword(
        _ request: AuthResetPasswordRequest, _ context: CallContext
    ) async throws -> AuthResetPasswordResponse {
        try enter(context)
        return AuthResetPasswordResponse()
    }

    func checkSession(
        _ request: AuthCheckSessionRequest, _ context: CallContext
    ) async throws -> AuthCheckSessionResponse {
        state.withLock { state in
            state.checks += 1
            return .with { $0.live = !state.ended.contains(request.sessionID) }
        }
    }

    func watchRevocations(
        _ request: AuthWatchRevocationsRequest, _ context: CallContext
    ) async throws -> AuthWatchRevocationsResponse {
        let (stream, id) = subscribe()
        defer { state.withLock { $0.waiting[id] = nil } }
        let now = answer(after: request.afterSequence)
        guard now.revocations.isEmpty else { return now }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stream { return } }
            // The contract's own wait: a long poll without news ends.
            group.addTask { try? await Task.sleep(for: .milliseconds(Int64(request.waitMs))) }
            await group.next()
            group.cancelAll()
        }
        return answer(after: request.afterSequence)
    }

    private func subscribe() -> (AsyncStream<Void>, Int) {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        return state.withLock { state in
            state.nextWaiter += 1
            state.waiting[state.nextWaiter] = continuation
            return (stream, state.nextWaiter)
        }
    }

    private func answer(after sequence: Int64) -> AuthWatchRevocationsResponse {
        state.withLock { state in
            .with {
                $0.sequence = Int64(state.ended.count)
                $0.revocations = state.ended.dropFirst(Int(sequence)).map { id in .with { $0.sessionID = id } }
            }
        }
    }
}
