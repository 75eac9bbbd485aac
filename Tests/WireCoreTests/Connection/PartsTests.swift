import NIOCore
import TestSupport
import Testing

@testable import WireCore

/// The small parts: limits, windows, timers, metadata.
struct PartsTests {
    @Test func defaultsAreValid() throws {
        try WireLimits().validate()
    }

    private static let wrong: [(name: String, change: @Sendable (inout WireLimits) -> Void)] = [
        ("maxFrameSize", { $0.maxFrameSize = 1 }),
        ("maxConcurrentCalls", { $0.maxConcurrentCalls = 0 }),
        ("connectionCredit", { $0.connectionCredit = 1 }),
        ("callCredit", { $0.callCredit = 1 }),
        ("callCredit", { $0.callCredit = $0.connectionCredit + 1 }),
        ("maxMetadataSize", { $0.maxMetadataSize = 9000 }),
        ("maxMessageSize", { $0.maxMessageSize = 0 }),
        ("maxReassembly", { $0.maxReassembly = 1 }),
        ("minPingInterval", { $0.minPingInterval = .zero }),
        ("frameTimeout", { $0.frameTimeout = .zero }),
        ("floods.window", { $0.floods.window = .zero }),
        ("maxAge", { $0.maxAge = .zero }),
        ("idleTimeout", { $0.idleTimeout = .zero }),
    ]

    @Test(arguments: wrong.indices)
    func aWrongLimitNamesItself(_ index: Int) {
        let (name, change) = Self.wrong[index]
        let limits = WireLimits.defaults(change)
        #expect { try limits.validate() } throws: { "\($0)".contains(name) }
    }

    @Test func aServiceNameThatHelloCannotCarry() {
        let bad = [ServiceFingerprint(service: "not a name", fingerprint: 1)]
        let now = WireInstant(nanoseconds: 0)
        #expect(throws: WireLimitsError.self) { _ = try ServerConnection(fingerprints: bad, now: now) }
        let many = (0...64).map { ServiceFingerprint(service: "s\($0)", fingerprint: 1) }
        #expect(throws: WireLimitsError.self) { _ = try ClientConnection(fingerprints: many, now: now) }
    }

    @Test func timeSaturates() {
        let end = WireInstant(nanoseconds: .max - 1)
        #expect(end.advanced(by: .seconds(.max)).nanoseconds == .max)
        #expect(WireDuration.microseconds(.max).nanoseconds == .max)
        #expect(WireInstant(nanoseconds: 1).elapsed(since: end) == .zero)
    }

    @Test func receiveWindowGivesBackAtHalf() throws {
        var window = ReceiveWindow(100)
        try window.receive(49)
        #expect(window.replenish() == nil)
        try window.receive(1)
        #expect(window.replenish() == 50)
        try window.receive(100)
        #expect(throws: WireViolation.self) { try window.receive(1) }
    }

    @Test func callTimersComeInOrderAndForgetStaleOnes() {
        var random = SeededRandom("callTimersComeInOrder")
        var timers = CallTimers()
        let dues = (1...500).map { _ in UInt64.random(in: 0...1000, using: &random) }
        for (index, due) in dues.enumerated() {
            timers.add(CallID(rawValue: UInt32(index + 1)), due: WireInstant(nanoseconds: due), live: 500) { _ in true }
        }
        var popped: [UInt64] = []
        while let entry = timers.popDue(WireInstant(nanoseconds: 1000)) { popped.append(entry.due.nanoseconds) }
        #expect(popped == dues.sorted())
        for id in 1...10_000 as ClosedRange<UInt32> {
            timers.add(CallID(rawValue: id), due: WireInstant(nanoseconds: 5), live: 0) { _ in false }
        }
        var left = 0
        while timers.popDue(WireInstant(nanoseconds: 5)) != nil { left += 1 }
        #expect(left < 100, "stale entries do not pile up")
    }

    @Test func metadataKeepsOrderBytesAndRepeats() {
        var metadata = WireMetadata()
        metadata.append("a", [0, 1])
        metadata.set(.userIdentity, [9])
        metadata.append("a", [])
        metadata.set(.userIdentity, [8, 0])
        var seen: [String] = []
        metadata.forEachText { key, value in seen.append("\(key)=\(value.readableBytes)") }
        #expect(seen == ["a=2", "a=0"])
        #expect(metadata.value(.userIdentity).map { Array($0.readableBytesView) } == [8, 0])
        #expect(metadata.entryCount == 3)
        #expect(metadata.text(.requestID) == nil)
    }

    @Test func unknownEntriesAreSkipped() throws {
        let block = ByteBuffer(bytes: [200, 0, 1, 7, 2, 0, 1, 0x61])
        let metadata = try WireMetadata(validating: block, maxSize: 100)
        #expect(metadata.text(.requestID) == "a")
    }

    @Test func keepAnOverlongKeyFromBecomingAnotherOne() {
        var metadata = WireMetadata()
        metadata.append(String(repeating: "k", count: 300), [])
        #expect(throws: WireViolation.self) { try metadata.validate(maxSize: 8192) }
    }
}
