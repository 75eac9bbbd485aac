import Contracts
import Foundation
import RPCCore
import SwiftProtobuf
import Testing

/// The hand-written error details are the ones of runtime.proto.
@Suite struct ErrorDetailsTests {
    @Test func speakTheContractsBytes() throws {
        var ours = ErrorDetails()
        ours.reason = "weak_password"
        var violation = ErrorDetails.Violation()
        violation.field = "password"
        violation.message = "It is too short."
        ours.violations = [violation]
        var typed = ErrorDetails.Typed()
        typed.type = "lockstep.auth.v1.LockedOut"
        typed.value = Data([1, 2])
        ours.typed = [typed]
        let bytes: [UInt8] = try ours.serializedBytes()
        let theirs = try RuntimeErrorDetails(serializedBytes: bytes)
        #expect(theirs.reason == "weak_password")
        #expect(theirs.violations.map(\.field) == ["password"])
        #expect(theirs.violations.map(\.message) == ["It is too short."])
        #expect(theirs.typed.map(\.type) == [typed.type] && theirs.typed.map(\.value) == [typed.value])
        let again: [UInt8] = try theirs.serializedBytes()
        #expect(again == bytes)
    }
}
