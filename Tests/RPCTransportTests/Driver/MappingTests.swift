import NIOCore
import RPCCore
import RPCTransport
import Testing
import WireCore

@Suite struct MappingTests {
    @Test("An error survives the wire", arguments: [Processed.no, .maybe, .yes])
    func status(processed: Processed) {
        var error = RPCError(
            .failedPrecondition, "Not now.", reason: "not_now",
            violations: [FieldViolation(field: "a[1].b", message: "is wrong")], processed: processed,
            retryAfter: .milliseconds(20))
        error.timeline = CallTimeline(queued: .microseconds(7), ran: .microseconds(9))
        #expect(RPCError(WireStatus(error)) == error)
    }

    @Test("Details stay within the wire's limit, whole fields at a time")
    func details() {
        let violations = (0..<500).map { FieldViolation(field: "field_\($0)", message: "is too long for this") }
        let status = WireStatus(RPCError(.invalidArgument, "Many.", reason: "invalid_request", violations: violations))
        #expect(status.details.readableBytes <= WireLimits.maxStatusDetailsSize)
        let back = RPCError(status)
        #expect(back.reason == "invalid_request")
        #expect(back.violations.count > 50)
        #expect(back.violations == Array(violations.prefix(back.violations.count)))
    }

    @Test("Details of another kind are not an error of their own")
    func foreignDetails() {
        var error = RPCError(.aborted, "x")
        error.apply(details: [0xff, 0xff, 0xff])
        #expect(error.reason.isEmpty && error.violations.isEmpty)
        var back = RPCError(WireStatus(error))
        back.timeline = error.timeline
        #expect(back == error)
        #expect(Array(WireStatus(error).details.readableBytesView) == [0xff, 0xff, 0xff])
    }

    @Test("A detail of a type that nobody here knows goes through, whole and in its place")
    func typedDetails() throws {
        var error = RPCError(.aborted, "x", reason: "locked")
        error.details = [
            ErrorDetail(type: "lockstep.other.v1.Unknown", value: [1, 2, 3]), ErrorDetail(type: "a.B", value: []),
        ]
        var back = RPCError(WireStatus(error))
        back.timeline = error.timeline
        #expect(back == error)
        #expect(back.detail(ErrorDetails.self) == nil)
        var known = ErrorDetails.Violation()
        known.field = "a"
        error.details.append(try ErrorDetail(known))
        #expect(RPCError(WireStatus(error)).detail(ErrorDetails.Violation.self) == known)
    }

    @Test("Fields that a newer version added to the details go through a process that does not know them")
    func unknownFields() {
        // Field 1, "r", then field 15, varint 7.
        let bytes: [UInt8] = [0x0a, 0x01, UInt8(ascii: "r"), 0x78, 0x07]
        var error = RPCError(.aborted, "x")
        error.apply(details: bytes)
        #expect(error.reason == "r")
        #expect(error.details(limit: 100) == bytes)
    }

    @Test("What does not fit is left out from the end, details after violations")
    func tooManyDetails() {
        var error = RPCError(.aborted, "x", reason: "r", violations: [FieldViolation(field: "f", message: "m")])
        error.details = (0..<100).map { ErrorDetail(type: "t.T\($0)", value: Array(repeating: 7, count: 100)) }
        let back = RPCError(WireStatus(error))
        #expect(back.reason == "r" && back.violations.isEmpty)
        #expect(back.details == Array(error.details.prefix(back.details.count)) && back.details.count > 30)
    }

    @Test("Advice never comes too early, and nothing overflows")
    func durations() {
        #expect(Duration.microseconds(1).wireMilliseconds == 1)
        #expect(Duration.seconds(-5).wireMicroseconds == 0)
        #expect(Duration.seconds(Int64.max / 2).wireMicroseconds == .max)
        #expect(WireDuration(.seconds(2)) == .seconds(2))
    }

    @Test("The wire's clock is the process's, and keeps its order")
    func clock() {
        let now = MonotonicInstant.now
        let later = now.advanced(by: .nanoseconds(1))
        #expect(WireClock.instant(at: now) < WireClock.instant(at: later))
        #expect(WireClock.time(at: WireClock.instant(at: now)) == now)
    }

    @Test("Request ids are what logs may hold", arguments: ["", "a b", "é", "x\n", String(repeating: "a", count: 65)])
    func requestIDs(bad: String) {
        #expect(!RequestID.isValid(bad))
        #expect(RequestID.isValid(RequestID.make()))
        #expect(RequestID.make() != RequestID.make())
    }
}
