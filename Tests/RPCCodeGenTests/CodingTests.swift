import Foundation
import RPCCore
import SwiftProtobuf
import Testing

/// JSON for callers that know no types.
@Suite struct CodingTests {
    private let sum = Contract.codings.named("DigestService/Sum")
    private let putEntry = Contract.codings.named("lockstep.ledger.v1.LedgerService/PutEntry")

    @Test func theIndexHasEverything() {
        let names = ["digest.v1.Digest", "digest.v1.Place", "ledger.v1.Feed", "ledger.v1.Ledger"].map { "lockstep.\($0)Service" }
        #expect(Contract.services.map(\.name) == names)
        #expect(Contract.codings.map(\.descriptor.id) == Contract.services.flatMap(\.methods).map(\.id))
        #expect(Contract.codings.named("Sum") == nil && Contract.codings.named("gestService/Sum") == nil)
    }

    @Test func requestsComeFromJSON() throws {
        let coding = try #require(sum)
        let bytes = try coding.requestBytes(fromJSON: Array(#"{"numbers": [1, 2], "modulus": 3}"#.utf8))
        #expect(try DigestSumRequest(serializedBytes: bytes) == .with { $0.numbers = [1, 2]; $0.modulus = 3 })
    }

    @Test func responsesHaveProtoNamesAndDefaults() throws {
        let coding = try #require(sum)
        let json = try coding.json(fromResponse: DigestSumResponse.with { $0.sum = 7 }.serializedBytes())
        #expect(String(decoding: json, as: UTF8.self) == #"{"exact":false,"mean":0,"sum":"7"}"#)
    }

    @Test func nestedResponsesAreCompletedToo() throws {
        let coding = try #require(putEntry)
        let entry = LedgerEntry.with {
            $0.createdAt = Google_Protobuf_Timestamp(seconds: 86_400, nanos: 0)
            $0.owner = .with { $0.friends = [LedgerEntry.Person()] }
            $0.witnesses = ["ann": LedgerEntry.Person()]
        }
        let json = try coding.json(fromResponse: entry.serializedBytes())
        let person = #"{"diagnosis":"","email":"","friends":[],"password":"","title":""}"#
        let owner = #"{"diagnosis":"","email":"","friends":["# + person + #"],"password":"","title":""}"#
        #expect(
            String(decoding: json, as: UTF8.self) == #"{"body":"","changes":[],"checksum":"0","# +
                #""created_at":"1970-01-02T00:00:00Z","default":"","history":[],"offset":0,"owner":"# + owner
                + #","parts":[],"ratio":0,"recipients":[],"secrets":{},"state":"STATE_UNSPECIFIED","tags":[],"#
                + #""text":"","witnesses":{"ann":"# + person + "}}")
        #expect(try LedgerEntry(jsonUTF8Bytes: json) == entry)
    }

    @Test(arguments: [
        (#"{"numbers": [1], "colour": 1}"#, "unknown_field", "colour"),
        (#"{"numbers": ["x"]}"#, "malformed_json", "a number is malformed"),
        (#"{"numbers": [1]"#, "malformed_json", "it ends too early"),
        (#"{"numbers": [99999999999]}"#, "malformed_json", "out of range"),
        (#"[]"#, "malformed_json", "expected shape"),
        ("", "invalid_request", "numbers"),
        ("{}", "invalid_request", "numbers"),
    ])
    func badJSONIsExplained(json: String, reason: String, text: String) throws {
        let coding = try #require(sum)
        let error = #expect(throws: RPCError.self) { try coding.requestBytes(fromJSON: Array(json.utf8)) }
        #expect(error?.code == .invalidArgument && error?.reason == reason, "\(String(describing: error))")
        #expect(error?.message.contains(text) == true, "\(String(describing: error))")
    }

    @Test func answersThatDoNotDecodeAreTheServersFault() throws {
        let coding = try #require(sum)
        let error = #expect(throws: RPCError.self) { try coding.json(fromResponse: [0xff]) }
        #expect(error?.code == .internal)
    }
}
