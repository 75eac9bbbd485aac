import RPCCore
import Testing

@Suite struct CallGateTests {
    struct Verifier: UserIdentityVerifier {
        func verify(token: String) throws -> UserIdentity {
            if token == "responder" { return Fixture.user(["responder"], lane: .emergency) }
            guard token == "good" else { throw RPCError(.internal, "The key \(token) is wrong.") }
            return Fixture.user(lane: .emergency)
        }
    }

    let now = MonotonicInstant.now
    let gateway = PeerIdentity(service: "gateway")

    private func gate(_ methods: MethodDescriptor..., concurrency: Int = 8) throws -> CallGate {
        try CallGate(methods.map(Fixture.hosted), users: Verifier(), limit: .fixed(concurrency))
    }

    private func request(_ change: (inout CallRequest) -> Void = { _ in }) throws -> CallRequest {
        var request = CallRequest(methodID: 7, peer: try #require(gateway), size: 10)
        change(&request)
        return request
    }

    private func admit(_ gate: CallGate, _ request: CallRequest) throws(RPCError) -> AdmittedCall {
        var tokens = UserTokenCache()
        return try gate.admit(request, tokens: &tokens, now: now)
    }

    private func refusal(_ gate: CallGate, _ request: CallRequest) -> RPCError? {
        do {
            _ = try admit(gate, request)
            return nil
        } catch {
            return error
        }
    }

    @Test func admitsWithTheContractsDefaults() throws {
        let call = try admit(gate(Fixture.method()), request())
        #expect(call.context.deadline == .after(.seconds(5), now: now))
        #expect(call.context.lane == .routine && call.context.user == nil && call.context.attempt == 1)
        #expect(RequestID.isValid(call.context.requestID))
    }

    @Test func refusesWithoutHavingRun() throws {
        let gate = try gate(Fixture.method())
        let cases: [(StatusCode, CallRequest)] = [
            (.permissionDenied, CallRequest(methodID: 8, peer: try #require(gateway), size: 1)),
            (.permissionDenied, CallRequest(methodID: 7, peer: try #require(PeerIdentity(service: "email")), size: 1)),
            (.resourceExhausted, try request { $0.size = 65 }),
            (.deadlineExceeded, try request { $0.deadline = .after(.zero, now: now) }),
            (.unauthenticated, try request { $0.userToken = "bad" }),
        ]
        for (code, request) in cases {
            let error = refusal(gate, request)
            #expect(error?.code == code && error?.processed == .no)
            #expect(error?.message.contains("bad") == false, "a token is no part of a message")
        }
        #expect(gate.openCalls == 0)
    }

    private struct Quota: CallInterceptor {
        func intercept(_ request: CallRequest, _ method: MethodDescriptor, user: UserIdentity?) throws(RPCError) {
            guard request.size > 5 else { return }
            throw RPCError(.resourceExhausted, "\(method.name) is out of quota.", reason: user?.subject ?? "nobody", processed: .yes)
        }
    }

    @Test("An interceptor sees what is allowed, before it takes a place, and what it refuses has not run")
    func interceptors() throws {
        let gate = try CallGate([Fixture.hosted(Fixture.method())], users: Verifier(), interceptors: [Quota()], limit: .fixed(1))
        let forbidden = refusal(gate, CallRequest(methodID: 7, peer: try #require(PeerIdentity(service: "email")), size: 10))
        #expect(forbidden?.code == .permissionDenied)
        let error = refusal(gate, try request { $0.userToken = "good" })
        #expect(error?.code == .resourceExhausted && error?.processed == .no && error?.reason == Fixture.user().subject)
        #expect(gate.openCalls == 0)
        _ = try admit(gate, request { $0.size = 5 })
        #expect(gate.openCalls == 1)
    }

    @Test func longDeadlinesAreCut() throws {
        let call = try admit(gate(Fixture.method()), request { $0.deadline = .after(.seconds(99), now: now) })
        #expect(call.context.deadline == .after(.seconds(30), now: now))
    }

    @Test func placesAreGivenBack() throws {
        let gate = try gate(Fixture.method(concurrency: 1), Fixture.method(id: 9, name: "Other"), concurrency: 2)
        let first = try admit(gate, request())
        #expect(refusal(gate, try request())?.reason == "busy")
        #expect(gate.openCalls == 1, "a refused call holds no place")
        let second = try admit(gate, request { $0.methodID = 9 })
        #expect(refusal(gate, try request { $0.methodID = 9 })?.retryAfter == .milliseconds(100))
        gate.leave(first)
        gate.leave(second)
        #expect(gate.openCalls == 0)
        #expect(refusal(gate, try request()) == nil)
    }

    @Test func lanesAreCappedByContractAndUser() throws {
        let urgent = try gate(Fixture.method(maximumLane: .emergency))
        #expect(try admit(urgent, request { $0.lane = .emergency }).context.lane == .routine, "nobody vouches for it")
        let calm = try admit(gate(Fixture.method()), request { $0.lane = .emergency; $0.userToken = "good" })
        #expect(calm.context.lane == .routine)
        let call = try admit(urgent, request { $0.lane = .emergency; $0.userToken = "good" })
        #expect(call.context.lane == .emergency && call.context.user == Fixture.user(lane: .emergency))
    }

    @Test func emergencyNeedsARoleWhereTheContractNamesOne() throws {
        let exposed = try gate(
            Fixture.method(exposure: .user, maximumLane: .emergency, emergencyRoles: ["responder"]),
            Fixture.method(id: 9, name: "Nobodys", exposure: .user, maximumLane: .emergency))
        func lane(_ token: String, _ method: UInt32 = 7) throws -> Lane {
            let asked = try request { ($0.methodID, $0.lane, $0.userToken) = (method, .emergency, token) }
            return try admit(exposed, asked).context.lane
        }
        #expect(try lane("good") == .routine, "the token says emergency, the user has no role for it here")
        #expect(try lane("responder") == .emergency)
        #expect(try lane("responder", 9) == .routine, "an exposed method that names no role grants it to nobody")
    }

    @Test func routineWorkLeavesAFifthToEmergencies() throws {
        let gate = try gate(Fixture.method(maximumLane: .emergency), concurrency: 10)
        let routine = try (0..<8).map { _ in try admit(gate, request()) }
        #expect(refusal(gate, try request())?.processed == .no)
        let urgent = try (0..<2).map { _ in
            try admit(gate, request { ($0.lane, $0.userToken) = (.emergency, "good") })
        }
        #expect(refusal(gate, try request { ($0.lane, $0.userToken) = (.emergency, "good") })?.reason == "busy")
        for call in routine + urgent { gate.leave(call) }
        #expect(gate.openCalls == 0)
    }

    @Test func aWishForEmergencyTakesNoEmergencyPlace() throws {
        let gate = try gate(Fixture.method(maximumLane: .emergency), concurrency: 5)
        for _ in 0..<4 { _ = try admit(gate, request { $0.lane = .emergency }) }
        #expect(refusal(gate, try request { $0.lane = .emergency })?.reason == "busy")
        _ = try admit(gate, request { ($0.lane, $0.userToken) = (.emergency, "good") })
    }

    @Test func requestIDsThatCouldForgeLogsAreReplaced() throws {
        let gate = try gate(Fixture.method())
        #expect(try admit(gate, request { $0.requestID = RequestID("req_7") }).context.requestID == "req_7")
        #expect(try admit(gate, request { $0.requestID = RequestID("a\nb") }).context.requestID.hasPrefix("req_"))
    }

    @Test func twoMethodsOfOneIDAreNotHosted() {
        #expect(throws: HostingError.self) { try gate(Fixture.method(), Fixture.method(name: "Twin")) }
    }

    @Test func methodsThatNeedAUserNeedAVerifier() {
        #expect(throws: HostingError.self) {
            try CallGate([Fixture.hosted(Fixture.method(exposure: .user))], users: nil)
        }
    }

    @Test func tokensAreVerifiedOnceAndForgottenInTime() throws {
        final class Counting: UserIdentityVerifier {
            let calls = LaneGauge(limit: nil)
            func verify(token: String) throws -> UserIdentity {
                _ = calls.enter(.routine)
                return Fixture.user()
            }
        }
        let verifier = Counting()
        var cache = UserTokenCache()
        for _ in 0..<3 { _ = try cache.user(of: "t", verifier: verifier, now: now) }
        #expect(verifier.calls.current == 1)
        _ = try cache.user(of: "t", verifier: verifier, now: now + UserTokenCache.maximumAge)
        #expect(verifier.calls.current == 2)
        for index in 0...UserTokenCache.capacity { _ = try cache.user(of: "\(index)", verifier: verifier, now: now) }
        #expect(cache.count <= UserTokenCache.capacity)
    }
}
