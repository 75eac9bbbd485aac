import RPCCore

extension MethodDescriptor {
    /// A method of a made-up service; what a test does not name is generous.
    static func test(
        _ name: String, kind: CallKind = .unary, execution: Execution = .async, cost: Cost? = nil,
        callers: [String] = ["gateway"],
        exposure: Exposure = .internal, maximumLane: Lane = .emergency, default: Duration = .seconds(30),
        maximum: Duration = .seconds(60), requestLimit: Int = 4 * 1024 * 1024, responseLimit: Int = 4 * 1024 * 1024,
        concurrency: Int? = nil, onCancel: OnCancel = .cancel, idempotency: Idempotency = .unknown
    ) -> MethodDescriptor {
        MethodDescriptor(
            id: name.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }, service: "test.v1.TestService",
            name: name, kind: kind, execution: execution, cost: cost, callers: callers, exposure: exposure,
            maximumLane: maximumLane, deadline: DeadlineRule(default: `default`, maximum: maximum),
            requestLimit: requestLimit, responseLimit: responseLimit, concurrency: concurrency, rate: nil,
            onCancel: onCancel, idempotency: idempotency, http: nil,
            request: MessageDescriptor(name: "test.v1.Request", fields: []),
            response: MessageDescriptor(name: "test.v1.Response", fields: []))
    }
}

struct TestAsyncService: AsyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "test.v1.TestService", execution: .async, hostedByBoth: false, methods: [], fingerprint: 1)
    let asyncMethods: [AsyncMethod]
}

struct TestSyncService: SyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "test.v1.TestService", execution: .sync, hostedByBoth: false, methods: [], fingerprint: 2)
    let syncMethods: [SyncMethod]
}

/// A SYNC service that ASYNC servers host too.
struct TestSharedService: SyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "test.v1.SharedService", execution: .sync, hostedByBoth: true, methods: [], fingerprint: 3)
    let syncMethods: [SyncMethod]
}

extension AsyncMethod {
    static let echoDescriptor = MethodDescriptor.test("Echo", callers: ["gateway", "token", "auth"])
    /// Answers with the request.
    static let echo = AsyncMethod(bytes: echoDescriptor) { request, _ in request }
}

/// Knows tokens of the form `subject:lane:role`, with the lane `high` or another.
struct TestTokens: UserIdentityVerifier {
    func verify(token: String) throws -> UserIdentity {
        let parts = token.split(separator: ":").map(String.init)
        guard parts.count == 3 else { throw RPCError(.unauthenticated, "forged") }
        return UserIdentity(
            subject: parts[0], sessionID: "ses_1", roles: [parts[2]], lane: parts[1] == "high" ? .emergency : .routine)
    }
}
