import RPCCore

/// Method descriptors made by hand, with what a test wants to vary.
enum Fixture {
    static let empty = MessageDescriptor(name: "test.v1.Empty", fields: [])

    static func method(
        id: UInt32 = 7, name: String = "Do", callers: [String] = ["gateway"], exposure: Exposure = .internal,
        maximumLane: Lane = .routine, emergencyRoles: [String] = [], default: Duration = .seconds(5),
        maximum: Duration = .seconds(30), requestLimit: Int = 64, concurrency: Int? = nil
    ) -> MethodDescriptor {
        MethodDescriptor(
            id: id, service: "test.v1.TestService", name: name, execution: .async, cost: nil, callers: callers,
            exposure: exposure, maximumLane: maximumLane, emergencyRoles: emergencyRoles,
            deadline: DeadlineRule(default: `default`, maximum: maximum),
            requestLimit: requestLimit, responseLimit: 64, concurrency: concurrency, rate: nil, onCancel: .cancel,
            idempotency: .unknown, http: nil, request: empty, response: empty)
    }

    static func hosted(_ method: MethodDescriptor) -> HostedMethod {
        .async(AsyncMethod(bytes: method) { bytes, _ in bytes })
    }

    static func user(_ roles: [String] = [], lane: Lane = .routine) -> UserIdentity {
        UserIdentity(subject: "usr_1", sessionID: "ses_1", roles: roles, lane: lane)
    }
}
