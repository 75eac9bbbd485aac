import RPCCore
import SwiftProtobuf
import Testing

/// No way of printing a message shows what the contract calls PII, PHI or SECRET.
@Suite struct RedactionTests {
    struct Holder: Error {
        let request: LedgerPutEntryRequest
    }

    private static func dumped(_ value: some Any) -> String {
        var text = ""
        dump(value, to: &text)
        return text
    }

    static let prints: [@Sendable (LedgerPutEntryRequest) -> String] = [
        { "\($0)" },
        { String(describing: $0) },
        { String(reflecting: $0) },
        { $0.description },
        { $0.debugDescription },
        { $0.redactedDescription },
        { "\([$0])" },
        { "\(["key": $0])" },
        { "\(Optional($0) as Any)" },
        { "\($0.entry.owner)" },
        { "\($0.entry.owner.friends)" },
        { "\($0.entry.witnesses.values)" },
        { "\(Holder(request: $0))" },
        { String(reflecting: Holder(request: $0)) },
        { dumped($0) },
        { dumped(Holder(request: $0)) },
        { "\($0 as any Message)" },
        { ($0 as any Message).debugDescription },
        { (($0 as Any) as? any CustomDebugStringConvertible)?.debugDescription ?? "" },
    ]

    @Test(arguments: prints.indices)
    func hidesWhatTheContractHides(index: Int) {
        let text = Self.prints[index](GoldenTests.request)
        #expect(!text.isEmpty)
        #expect(!text.contains("planted"), "\(text)")
    }

    @Test func showsWhatIsOpen() {
        #expect(
            GoldenTests.request.description == """
                PutEntryRequest(entry_id: "entry-1", entry: Entry(state: open, owner: Person(email: <PII>, \
                password: <SECRET>, diagnosis: <PHI>, title: "Dr.", friends: [Person(email: <PII>, \
                password: <SECRET>, diagnosis: <PHI>, title: "Dr.")]), witnesses: 1 items, secrets: <SECRET>, \
                recipients: <PII>, tags: ["blue\\nforged line"], parts: 1 items, history: [open, closed], \
                created_at: "1970-01-02T00:00:00Z", length: "3s", changes: ["1970-01-01T00:00:00Z"], \
                body: 300 bytes, ratio: 0.5, checksum: 9, offset: -1, \
                default: "\(String(repeating: "x", count: 128))"…, text: "text"))
                """)
        #expect(LedgerPutEntryRequest().description == "PutEntryRequest()")
        #expect(LedgerEmptyResponse().description == "EmptyResponse()")
    }

    @Test func longListsAreCut() {
        let request = DigestSumRequest.with { $0.numbers = Array(0..<20) }
        #expect(request.description.hasSuffix("14, 15, and 4 more])"))
    }

    @Test func fieldsOfALaterVersionAreNotShown() throws {
        var newer = LedgerEntry.Person.with { $0.title = "Dr." }
        let field99: [UInt8] = [0x9a, 0x06, 0x03, 0x61, 0x62, 0x63]
        newer.unknownFields = try LedgerEntry.Person(serializedBytes: field99).unknownFields
        #expect(newer.description == "Person(title: \"Dr.\")")
        #expect(newer != LedgerEntry.Person.with { $0.title = "Dr." })
    }
}
