import RPCClient
import RPCCore
import RPCTransport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ErrorTests {
    private struct Leaky: Error { let text = "the password is hunter2" }

    @Test("What a handler throws without a status stays in the process, for the log")
    func untyped() async throws {
        let observer = RecordingObserver()
        let method = AsyncMethod(bytes: .test("Leak")) { _, _ in throw Leaky() }
        try await withServer([method], observer: observer) { _, address in
            try await withClient(address) { client in
                let error = try await client.failure(method.descriptor)
                #expect(error.code == .internal)
                #expect(error.processed == .yes)
                #expect(!"\(error)".contains("hunter2"))
            }
        }
        let ended = try #require(observer.all.ended.first)
        #expect(ended.code == .internal)
        #expect(ended.error is Leaky)
    }

    @Test("A typed error arrives with its reason, its fields and its advice")
    func typed() async throws {
        let method = AsyncMethod(bytes: .test("Typed")) { _, _ in
            throw RPCError(
                .invalidArgument, "Tab\tand ☺ 😈.", reason: "invalid_request",
                violations: [FieldViolation(field: "email", message: "is missing")], retryAfter: .milliseconds(1500))
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let error = try await client.failure(method.descriptor)
                #expect(error.code == .invalidArgument)
                #expect(error.message == "Tab\tand ☺ 😈.")
                #expect(error.reason == "invalid_request")
                #expect(error.violations == [FieldViolation(field: "email", message: "is missing")])
                #expect(error.retryAfter == .milliseconds(1500))
                #expect(error.timeline.ran != nil)
            }
        }
    }

    @Test("All codes arrive as they are", arguments: StatusCode.allCases.filter { $0 != .ok })
    func codes(code: StatusCode) async throws {
        let method = AsyncMethod(bytes: .test("Code")) { _, _ in throw RPCError(code, "as asked") }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let ended = try await client.failure(method.descriptor)
                #expect(ended.code == code)
            }
        }
    }

    @Test("A service behind that did not process its call does not have this one sent twice")
    func processedIsOwn() async throws {
        let observer = RecordingObserver()
        let method = AsyncMethod(bytes: .test("Behind")) { _, _ in
            throw RPCError(.unavailable, "The one behind is gone.", processed: .no)
        }
        try await withServer([method], observer: observer) { _, address in
            try await withClient(address) { client in
                let error = try await client.failure(method.descriptor)
                #expect(error.code == .unavailable)
                #expect(error.processed == .yes)
            }
        }
        #expect(observer.all.ended.count == 1)
    }
}
