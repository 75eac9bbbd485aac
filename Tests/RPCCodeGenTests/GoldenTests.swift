import Foundation
import RPCCore
import RPCInProcess
import SwiftProtobuf
import Testing

/// What is generated, at work: handlers of both shapes, clients, checks and JSON.
@Suite struct GoldenTests {
    struct Digest: DigestServiceHandler {
        func sum(_ request: DigestSumRequest, _ context: CallContext) throws -> DigestSumResponse {
            var response = DigestSumResponse()
            let sum = request.numbers.reduce(0) { $0 + Int64($1) }
            response.sum = request.hasModulus ? sum % Int64(request.modulus) : sum
            response.exact = true
            return response
        }

        func jwks(_ request: DigestEmptyRequest, _ context: CallContext) throws -> DigestSumResponse {
            throw RPCError(.failedPrecondition, "No keys yet.", reason: "no_keys")
        }
    }

    /// Sums up what it finds in the bytes themselves, and says more than the contract lets it where there is nothing.
    struct Place: PlaceServiceHandler {
        func sumInPlace(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
            request.withUnsafeBytes { bytes in
                guard !bytes.isEmpty else { return [UInt8](repeating: 0, count: Int(context.method.responseLimit) + 1) }
                var (fields, answer) = (EncodedFields(bytes), EncodedMessage(capacity: 16))
                while let field = try? fields.next() {
                    if field.number == 1, let numbers = field.bytes { answer.append(1, numbers.reduce(0) { $0 + UInt64($1) }) }
                }
                return answer.bytes
            }
        }
    }

    struct Ledger: LedgerServiceHandler {
        func putEntry(_ request: LedgerPutEntryRequest, _ context: CallContext) async throws -> LedgerEntry {
            request.entry
        }

        func `repeat`(
            _ request: LedgerPutEntryRequest, _ context: CallContext
        ) async throws -> LedgerEmptyResponse {
            LedgerEmptyResponse()
        }

        func findEntries(
            _ request: LedgerFindEntriesRequest, _ context: CallContext
        ) async throws -> LedgerEmptyResponse {
            LedgerEmptyResponse()
        }
    }

    private func digest(as peer: String = "gateway") throws -> DigestServiceClient {
        DigestServiceClient(try InProcessChannel(sync: [Digest()], peer: peer))
    }

    private func ledger(roles: [String]) throws -> LedgerServiceClient {
        let user = UserIdentity(subject: "usr_1", sessionID: "ses_1", roles: roles, lane: .routine)
        return LedgerServiceClient(try InProcessChannel(async: [Ledger()], peer: "gateway", user: user))
    }

    @Test func syncHandlersAreCalledThroughTheirClient() async throws {
        let sum = try await digest().sum(.with { $0.numbers = [20, 25]; $0.modulus = 40 })
        #expect(sum == .with { $0.sum = 5; $0.exact = true })
    }

    @Test func syncMethodsTakeAndGiveBytes() throws {
        let method = try #require(Digest().syncMethods.first { $0.descriptor.id == DigestServiceContract.sum.id })
        let request: [UInt8] = try DigestSumRequest.with { $0.numbers = [1, 2] }.serializedBytes()
        let answer = try method.run(request.span.bytes, context(method.descriptor))
        #expect(try DigestSumResponse(serializedBytes: answer).sum == 3)
    }

    @Test("A method that reads its request in place is called as any other, within the contract's limits")
    func inPlace() async throws {
        let client = PlaceServiceClient(try InProcessChannel(sync: [Place()], peer: "operator"))
        #expect(try await client.sumInPlace(.with { $0.numbers = [20, 25] }) == .with { $0.sum = 45 })
        let error = await #expect(throws: RPCError.self) { try await client.sumInPlace(DigestSumRequest()) }
        #expect(error?.code == .resourceExhausted && error?.reason == "response_too_large")
    }

    @Test func errorsOfHandlersArrive() async throws {
        let client = try digest()
        let error = await #expect(throws: RPCError.self) { try await client.jwks(DigestEmptyRequest()) }
        #expect(error?.code == .failedPrecondition && error?.reason == "no_keys" && error?.processed == .yes)
    }

    @Test func callersNotNamedAreRefused() async throws {
        let client = try digest(as: "email")
        let error = await #expect(throws: RPCError.self) { try await client.sum(.with { $0.numbers = [1] }) }
        #expect(error?.code == .permissionDenied && error?.processed == .no)
    }

    @Test func asyncHandlersAreCalledThroughTheirClient() async throws {
        #expect(try await ledger(roles: ["chief"]).putEntry(Self.request) == Self.request.entry)
        _ = try await ledger(roles: []).repeat(Self.request)
        let outsider = try ledger(roles: ["guest"])
        let error = await #expect(throws: RPCError.self) { try await outsider.putEntry(Self.request) }
        #expect(error?.code == .permissionDenied && error?.reason == "role_missing")
    }

    @Test func everyBrokenRuleIsNamedWithItsPath() {
        var request = Self.request
        request.entryID = "a/b"
        request.entry.state = .unspecified
        request.entry.clearCreatedAt()
        request.entry.owner.email = "nobody"
        request.entry.owner.password = Data("short".utf8)
        request.entry.owner.friends[0].title = "too long"
        request.entry.witnesses["a person"] = LedgerEntry.Person()
        request.entry.recipients = ["a@b.example", "not one"]
        request.entry.text = "ten bytes."
        #expect(
            request.contractViolations().map { "\($0.field): \($0.message)" } == [
                "entry_id: Only letters, digits, - and _.",
                "entry.state: This field is required.",
                "entry.owner.email: This is not an email address.",
                "entry.owner.password: At least 8 bytes.",
                "entry.owner.friends[0].title: At most 5 bytes.",
                "entry.witnesses[*].email: This field is required.",
                "entry.recipients[1]: This is not an email address.",
                "entry.created_at: This field is required.",
                "entry.text: At most 9 bytes.",
            ])
        #expect(Self.request.contractViolations().isEmpty)
        #expect(LedgerPutEntryRequest().contractViolations().map(\.field) == ["entry_id", "entry"])
    }

    @Test func requestsThatBreakTheContractDoNotReachTheHandler() async throws {
        let client = try digest()
        let error = await #expect(throws: RPCError.self) { try await client.sum(DigestSumRequest()) }
        #expect(error?.code == .invalidArgument && error?.reason == "invalid_request")
        #expect(error?.violations == [FieldViolation(field: "numbers", message: "This field is required.")])
        let tooMany = await #expect(throws: RPCError.self) {
            try await client.sum(.with { $0.numbers = Array(0..<9) })
        }
        #expect(tooMany?.violations.first?.message == "At most 8 items.")
    }

    private func context(_ method: RPCCore.MethodDescriptor) throws -> CallContext {
        CallContext(
            method: method, peer: try #require(PeerIdentity(service: "gateway")), deadline: .after(.seconds(60)),
            requestID: RequestID("req_1") ?? RequestID())
    }

    /// A request that obeys the contract and carries a planted value in every field that is not OPEN.
    static let request = LedgerPutEntryRequest.with {
        $0.entryID = "entry-1"
        $0.entry.state = .open
        $0.entry.owner = person("planted")
        $0.entry.owner.friends = [person("planted-friend")]
        $0.entry.witnesses = ["planted witness": person("planted-witness")]
        $0.entry.secrets = ["planted key": "planted value"]
        $0.entry.recipients = ["planted@recipient.example"]
        $0.entry.tags = ["blue\nforged line"]
        $0.entry.parts = [Data([1, 2])]
        $0.entry.history = [.open, .closed]
        $0.entry.createdAt = Google_Protobuf_Timestamp(seconds: 86_400, nanos: 0)
        $0.entry.length = Google_Protobuf_Duration(seconds: 3, nanos: 0)
        $0.entry.changes = [Google_Protobuf_Timestamp(seconds: 0, nanos: 0)]
        $0.entry.body = Data(repeating: 7, count: 300)
        $0.entry.ratio = 0.5
        $0.entry.checksum = 9
        $0.entry.offset = -1
        $0.entry.default = String(repeating: "x", count: 200)
        $0.entry.text = "text"
    }

    private static func person(_ name: String) -> LedgerEntry.Person {
        .with {
            $0.email = "\(name)@person.example"
            $0.password = Data("\(name)-password".utf8)
            $0.diagnosis = "\(name) diagnosis"
            $0.title = "Dr."
        }
    }
}
