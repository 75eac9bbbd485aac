import Contracts
import Foundation
import RPCCore
import ServiceKit
import Testing

@Suite struct CallLogTests {
    let output = CollectedOutput()

    func record(
        _ code: StatusCode, _ error: (any Error)?, requestID: String = "req_1", lane: Lane = .routine
    ) throws -> CallRecord {
        let context = CallContext(
            method: HealthServiceContract.check, peer: try #require(PeerIdentity(service: "gateway")),
            deadline: .after(.seconds(1)), lane: lane, requestID: RequestID(requestID) ?? RequestID(),
            user: UserIdentity(subject: "usr_planted", sessionID: "ses_planted", roles: [], lane: lane),
            userToken: "planted.token.x", origin: ClientOrigin(address: "192.0.2.7", userAgent: "planted agent"))
        return CallRecord(
            context: context, code: code, processed: .yes, queued: .microseconds(1500), ran: .milliseconds(2),
            error: error)
    }

    @Test func aCallIsOneLineWithItsRequestID() throws {
        CallLog(logger: output.logger()).callEnded(try record(.ok, nil))
        let object = try #require(try output.objects().first)
        #expect(object["message"] as? String == "call")
        #expect(object["request_id"] as? String == "req_1")
        #expect(object["method"] as? String == "lockstep.runtime.v1.HealthService/Check")
        #expect(object["peer"] as? String == "gateway")
        #expect(object["code"] as? String == "OK")
        #expect(object["queued_ms"] as? Double == 1.5)
        #expect(object["ran_ms"] as? Double == 2)
        for planted in ["planted", "192.0.2.7"] { #expect(!output.text.contains(planted)) }
    }

    @Test func aFailureSaysWhy() throws {
        let error = TimeoutError(operation: "asking the provider", after: .seconds(5))
        CallLog(logger: output.logger()).callEnded(try record(.deadlineExceeded, error))
        let object = try #require(try output.objects().first)
        #expect(object["reason"] as? String == "timeout")
        #expect(object["error"] as? String == "timeout: asking the provider took longer than 5s")
        #expect(object["level"] as? String == "info")
    }

    @Test func aFaultOfOursIsAnErrorAndWhatServicesOnlyReadIsQuiet() throws {
        let log = CallLog(logger: output.logger())
        log.callEnded(try record(.internal, CancellationError()))
        log.callEnded(try record(.ok, nil))
        #expect(try output.objects().map { $0["level"] as? String } == ["error", "debug"])
    }

    @Test func eachUseOfTheEmergencyLaneIsOnRecord() throws {
        CallLog(logger: output.logger()).callEnded(try record(.ok, nil, lane: .emergency))
        let object = try #require(try output.objects().first)
        #expect(object["level"] as? String == "notice")
        #expect(object["lane"] as? String == "emergency")
        #expect(object["user"] as? String == "usr_planted")
        for secret in ["ses_planted", "planted.token", "192.0.2.7"] { #expect(!output.text.contains(secret)) }
    }

    @Test func aRefusalNamesCallerAndReason() throws {
        let peer = try #require(PeerIdentity(service: "auth"))
        CallLog(logger: output.logger()).callRefused(
            CallRefusal(
                methodID: 7, method: nil, peer: peer, requestID: "bad id\n",
                error: RPCError(.unimplemented, "No.", reason: "unknown_method")))
        let object = try #require(try output.objects().first)
        #expect(object["peer"] as? String == "auth")
        #expect(object["method_id"] as? Int == 7)
        #expect(object["request_id"] as? String == "<invalid>")
        #expect(object["reason"] as? String == "unknown_method")
    }
}
