import RPCCore
import Testing

@Suite struct ErrorTests {
    struct Domain: RPCErrorConvertible {
        var rpcError: RPCError { RPCError(.alreadyExists, "There is one.", reason: "exists", processed: .no) }
    }

    struct Unknown: Error, CustomStringConvertible {
        var description: String { "disk 3 of host 7 is full" }
    }

    private func context(_ deadline: Deadline) throws -> CallContext {
        CallContext(
            method: Fixture.method(), peer: try #require(PeerIdentity(service: "gateway")), deadline: deadline,
            requestID: RequestID("req_1") ?? RequestID())
    }

    @Test func domainErrorsSayTheirStatus() {
        #expect(RPCError.fromHandler(Domain()).code == .alreadyExists)
        let own = RPCError(.aborted, "Again.", violations: [FieldViolation(field: "a", message: "b")])
        #expect(RPCError.fromHandler(own) == own)
        #expect(RPCError.fromHandler(CancellationError()).code == .cancelled)
    }

    @Test func anythingElseIsInternalAndKeepsItsText() {
        let error = RPCError.fromHandler(Unknown())
        #expect(error.code == .internal)
        #expect(!"\(error)".contains("disk"))
    }

    @Test func aHandlerThatRanIsProcessedWhateverItThrew() throws {
        let now = MonotonicInstant.now
        let context = try context(.after(.seconds(1), now: now))
        var downstream = RPCError(.unavailable, "No connection.", processed: .no)
        downstream.timeline.waitedFor = "connection refused"
        let outcome = RPCError.outcome(of: downstream, in: context, now: now)
        #expect(outcome.processed == .yes && outcome.timeline == CallTimeline())
        #expect(RPCError.outcome(of: CancellationError(), in: context, now: now).code == .cancelled)
        #expect(
            RPCError.outcome(of: CancellationError(), in: context, now: now.advanced(by: .seconds(1))).code == .deadlineExceeded)
    }

    @Test func namesAreThoseOfTheContract() {
        #expect(StatusCode.deadlineExceeded.name == "DEADLINE_EXCEEDED")
        #expect(StatusCode.ok.name == "OK" && StatusCode.unauthenticated.name == "UNAUTHENTICATED")
        #expect(Set(StatusCode.allCases.map(\.name)).count == 17)
        #expect(RPCError(.notFound, "Gone.", reason: "gone").description == "NOT_FOUND (gone): Gone.")
    }

    @Test func invalidRequestsNameTheirFieldsOnly() {
        let error = RPCError.invalid([FieldViolation(field: "email", message: "This is not an email address.")])
        #expect(error.code == .invalidArgument && error.reason == "invalid_request")
        #expect(error.message == "The request is not valid: email.")
    }

    @Test func cancellationIsSeenByWhoLooks() throws {
        let context = CallContext(
            method: Fixture.method(), peer: try #require(PeerIdentity(service: "gateway")), deadline: .after(.seconds(4)),
            requestID: RequestID("req_1") ?? RequestID())
        let flag = context.cancellation
        #expect(throws: Never.self) { try flag.check() }
        flag.cancel()
        #expect(flag.isCancelled && context.cancellation.isCancelled)
        #expect(throws: CancellationError.self) { try flag.check() }
    }
}
