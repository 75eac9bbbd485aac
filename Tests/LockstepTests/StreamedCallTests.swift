import Foundation
@testable import lockstep
import RPCCore
import RPCInProcess
import Synchronization
import Testing
import TestSupport

/// Methods whose messages are JSON already, so that no message types are needed.
private struct Lines: AsyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "test.v1.Lines", execution: .async, hostedByBoth: false, methods: [], fingerprint: 1)
    let asyncMethods: [AsyncMethod]
}

@Suite struct StreamedCallTests {
    static func descriptor(_ kind: CallKind) -> MethodDescriptor {
        MethodDescriptor(
            id: 7, service: "test.v1.Lines", name: "Go", kind: kind, execution: .async, cost: nil,
            callers: ["operator"], exposure: .internal, maximumLane: .routine,
            deadline: DeadlineRule(default: .seconds(30), maximum: .seconds(30)), requestLimit: 1000,
            responseLimit: 1000, concurrency: nil, rate: nil, onCancel: .cancel, idempotency: .unknown, http: nil,
            request: MessageDescriptor(name: "test.v1.Request", fields: []),
            response: MessageDescriptor(name: "test.v1.Response", fields: []))
    }

    /// What is printed, and how it ended.
    func run(
        _ kind: CallKind, _ requests: RequestLines,
        _ handler: @escaping @Sendable (StreamParts, CallContext) async throws -> [UInt8]
    ) async throws -> (shown: [String], error: (any Error)?) {
        let method = AsyncMethod(streaming: Self.descriptor(kind), handler)
        let channel = try InProcessChannel(async: [Lines(asyncMethods: [method])], peer: "operator")
        let shown = Mutex<[String]>([])
        let coding = MethodCoding(
            method.descriptor,
            encode: { json in
                guard json.first == UInt8(ascii: "{") else {
                    throw RPCError(.invalidArgument, "This is no JSON.", reason: "malformed_json")
                }
                return json
            },
            decode: { $0 })
        let call = StreamedCall(
            coding: coding, channel: channel, options: CallOptions(), requests: requests,
            show: { line in shown.withLock { $0.append(String(decoding: line, as: UTF8.self)) } })
        do {
            try await call.run()
            return (shown.withLock { $0 }, nil)
        } catch {
            return (shown.withLock { $0 }, error)
        }
    }

    @Test func eachResponseOfAServersStreamIsALine() async throws {
        let (shown, error) = try await run(.serverStreaming, try RequestLines.open(#"{"a":1}"#)) { parts, _ in
            #expect(String(decoding: parts.request, as: UTF8.self).contains(#"{"a":1}"#))
            for number in 1...3 { try await parts.responses.write(Array(#"{"n":\#(number)}"#.utf8)) }
            return []
        }
        #expect(error == nil)
        #expect(shown == [#"{"n":1}"#, #"{"n":2}"#, #"{"n":3}"#])
    }

    @Test func whatCameBeforeAFailureIsShown() async throws {
        let (shown, error) = try await run(.serverStreaming, RequestLines(lines: [Array("{}".utf8)])) { parts, _ in
            try await parts.responses.write(Array("{}".utf8))
            throw RPCError(.dataLoss, "the rest is gone")
        }
        #expect(shown == ["{}"])
        #expect((error as? RPCError)?.code == .dataLoss)
    }

    @Test("Lines of a file are the requests of a client's stream", arguments: [CallKind.clientStreaming, .bidirectional])
    func requestsAreLines(kind: CallKind) async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("lines.json")
        try "{\"a\":1}\n\r\n{\"a\":2}\n  \n{\"a\":3}".write(toFile: file, atomically: true, encoding: .utf8)
        let (shown, error) = try await run(kind, try RequestLines.open("@" + file)) { parts, context in
            var count = 0
            while let request = try await parts.requests.next() {
                count += 1
                if context.method.kind == .bidirectional { try await parts.responses.write(request) }
            }
            return Array("{\"count\":\(count)}".utf8)
        }
        #expect(error == nil)
        #expect(shown == (kind == .bidirectional ? [#"{"a":1}"#, #"{"a":2}"#, #"{"a":3}"#] : [#"{"count":3}"#]))
    }

    @Test func aWrongLineEndsTheCallAndSaysSo() async throws {
        let lines = RequestLines(lines: ["{}", "nonsense"].map { Array($0.utf8) })
        let (_, error) = try await run(.clientStreaming, lines) { parts, _ in
            while let _ = try await parts.requests.next() {}
            return Array("{}".utf8)
        }
        #expect((error as? RPCError)?.reason == "malformed_json")
    }

    @Test func aServerThatAnswersEarlyNeedsNoMoreLines() async throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("{}\n".utf8))
        let lines = RequestLines(descriptor: pipe.fileHandleForReading.fileDescriptor)
        let (shown, error) = try await run(.clientStreaming, lines) { parts, _ in
            _ = try await parts.requests.next()
            return Array(#"{"enough":true}"#.utf8)
        }
        #expect(error == nil && shown == [#"{"enough":true}"#])
        try pipe.fileHandleForWriting.close()
    }

    @Test func aFileThatIsNotThereSaysSo() throws {
        let failure = #expect(throws: CommandFailure.self) { try RequestLines.open("@/nonexistent/lines") }
        #expect(failure?.status == 66)
    }
}
