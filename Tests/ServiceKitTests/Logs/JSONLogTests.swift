import Foundation
import Logging
import RPCCore
@testable import ServiceKit
import Testing

@Suite struct JSONLogTests {
    let output = CollectedOutput()

    @Test func aLineIsOneObjectWithTimeLevelServiceAndMessage() throws {
        output.logger().event(.info, "key rotated", .id("key", "kek_1"), .count("version", 3), .flag("ok", true))
        #expect(
            output.text
                == #"{"time":"2025-11-21T02:40:00.123Z","level":"info","service":"auth","message":"key rotated","key":"kek_1","ok":true,"version":3}"#
                + "\n")
    }

    @Test func awkwardTextStaysInsideItsString() throws {
        let text = "a\"b\\c\nd\u{1}e\u{7F}f\u{2028}ü"
        output.logger().event(.info, "x", .path("file", text))
        #expect(output.text.split(separator: "\n").count == 1)
        #expect(try output.objects()[0]["file"] as? String == text)
    }

    @Test func whatHasNoTypeIsNotWritten() throws {
        var logger = output.logger()
        logger[metadataKey: "context"] = "planted-secret"
        logger.info(
            "third party",
            metadata: [
                "text": "planted-secret", "list": ["planted-secret"], "object": ["a": "planted-secret"],
                "convertible": .stringConvertible(Redacted("planted-secret")), "time": "planted-secret",
            ])
        #expect(!output.text.contains("planted-secret"))
        let object = try #require(try output.objects().first)
        #expect(object["text"] as? String == "<untyped>")
        #expect(object["time"] as? String == "2025-11-21T02:40:00.123Z")
    }

    @Test func textThatIsNoIdentifierIsNotWritten() throws {
        output.logger().event(.info, "x", .id("user", "a person's name"), .requestID("forged\",\"level\":\"x"))
        let object = try #require(try output.objects().first)
        #expect(object["user"] as? String == "<invalid>")
        #expect(object["request_id"] as? String == "<invalid>")
    }

    @Test func ofAnUnknownErrorOnlyTheTypeIsWritten() throws {
        struct Leaky: Error, CustomStringConvertible {
            let description = "planted-secret"
        }
        let logger = output.logger()
        logger.event(.error, "x", .error(Leaky()))
        logger.event(.error, "x", .error(DatabaseError(.busy, operation: "create session", detail: "SQLITE_BUSY")))
        logger.event(.error, "x", .error(RPCError(.notFound, "No such session.", reason: "unknown_session")))
        let errors = try output.objects().compactMap { $0["error"] as? String }
        #expect(!output.text.contains("planted-secret"))
        #expect(errors[0].hasSuffix("Leaky"))
        #expect(errors[1] == "database busy in create session: SQLITE_BUSY")
        #expect(errors[2] == "NOT_FOUND (unknown_session): No such session.")
    }

    @Test func levelsBelowTheLoggersAreLeftOut() {
        output.logger(.warning).event(.info, "x")
        #expect(output.text.isEmpty)
    }

    @Test func fieldsOfTheLoggerAreInEveryLine() throws {
        let logger = output.logger().with(.id("worker", "outbox"), .duration("every", .milliseconds(1500)))
        logger.event(.info, "a")
        logger.event(.info, "b", .duration("ran", .microseconds(250)))
        let objects = try output.objects()
        #expect(objects.allSatisfy { $0["worker"] as? String == "outbox" && $0["every_ms"] as? Double == 1500 })
        #expect(objects[1]["ran_ms"] as? Double == 0.25)
    }

    @Test func standardErrorsThreadWritesWhatItTook() throws {
        let pipe = Pipe()
        let output = StandardErrorOutput(descriptor: pipe.fileHandleForWriting.fileDescriptor)
        for number in 0..<100 { output.write(Array("\(number)\n".utf8)) }
        output.flush()
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try #require(try pipe.fileHandleForReading.readToEnd()), as: UTF8.self)
        #expect(text == (0..<100).map { "\($0)\n" }.joined())
    }
}
