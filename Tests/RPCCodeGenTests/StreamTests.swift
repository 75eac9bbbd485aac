import RPCCore
import RPCInProcess
import Testing

/// Generated streaming methods at work, over a channel in memory.
@Suite(.timeLimit(.minutes(1)))
struct GeneratedStreamTests {
    struct Feed: FeedServiceHandler {
        func watch(
            _ request: LedgerFeedRequest, _ responses: MessageWriter<LedgerEntry>, _ context: CallContext
        ) async throws {
            for number in 0..<3 { try await responses.write(.with { $0.text = "\(request.tag)\(number)" }) }
        }

        func `import`(
            _ requests: MessageStream<LedgerFeedRequest>, _ context: CallContext
        ) async throws -> LedgerEmptyResponse {
            var count = 0
            for try await _ in requests {
                count += 1
                if count == 5 { throw RPCError(.outOfRange, "Five are too many.", reason: "too_many") }
            }
            return LedgerEmptyResponse()
        }

        func exchange(
            _ requests: MessageStream<LedgerFeedRequest>, _ responses: MessageWriter<LedgerEntry>,
            _ context: CallContext
        ) async throws {
            for try await request in requests { try await responses.write(.with { $0.text = request.tag }) }
        }
    }

    private let client: FeedServiceClient

    init() throws {
        client = FeedServiceClient(try InProcessChannel(async: [Feed()], peer: "operator"))
    }

    @Test func aServerStreams() async throws {
        let titles = try await client.watch(.with { $0.tag = "a" }) { entries in
            try await entries.reduce(into: []) { $0.append($1.text) }
        }
        #expect(titles == ["a0", "a1", "a2"])
    }

    @Test(arguments: [0, 4])
    func aClientStreams(_ count: Int) async throws {
        let answer = try await client.import { entries in
            for _ in 0..<count { try await entries.write(.with { $0.tag = "e" }) }
        }
        #expect(answer == LedgerEmptyResponse())
    }

    @Test func anEarlyAnswerEndsTheWriting() async throws {
        let error = await #expect(throws: RPCError.self) {
            try await client.import { entries in
                while true { try await entries.write(.with { $0.tag = "e" }) }
            }
        }
        #expect(error?.reason == "too_many")
    }

    @Test func aMessageThatBreaksTheContractEndsTheCall() async throws {
        let error = await #expect(throws: RPCError.self) {
            try await client.import { entries in try await entries.write(LedgerFeedRequest()) }
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.violations.map(\.field) == ["tag"])
    }

    @Test func bothStream() async throws {
        let titles = try await client.exchange { requests, entries in
            var titles: [String] = []
            for tag in ["x", "y", "z"] {
                try await requests.write(.with { $0.tag = tag })
                titles.append(try await entries.next()?.text ?? "")
            }
            requests.finish()
            #expect(try await entries.next() == nil)
            return titles
        }
        #expect(titles == ["x", "y", "z"])
    }

    @Test func leavingTheBodyEndsTheCall() async throws {
        let first = try await client.exchange { requests, entries in
            try await requests.write(.with { $0.tag = "only" })
            return try await entries.next()?.text
        }
        #expect(first == "only")
    }

    @Test func strangersDoNotStream() async throws {
        let stranger = FeedServiceClient(try InProcessChannel(async: [Feed()], peer: "gateway"))
        let error = await #expect(throws: RPCError.self) { try await stranger.watch(.init()) { _ in } }
        #expect(error?.code == .permissionDenied)
    }
}
