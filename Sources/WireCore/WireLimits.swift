/// Every limit of one side of a connection. The names are those of WIRE.md section 12.
///
/// The first group travels in HELLO and binds the peer; the second is what this side enforces on its own.
package struct WireLimits: Equatable, Sendable {
    // MARK: Announced in HELLO

    /// The longest frame payload this side accepts, bytes.
    package var maxFrameSize: UInt32 = 64 * 1024
    /// Calls that the client may have open at once; 0 from a client, who accepts none.
    package var maxConcurrentCalls: UInt32 = 1024
    /// Message bytes in MSG frames that the peer may send on the connection before the first CREDIT.
    package var connectionCredit: UInt32 = 4 * 1024 * 1024
    /// The same for each call.
    package var callCredit: UInt32 = 256 * 1024
    /// Metadata bytes of one CALL or STATUS.
    package var maxMetadataSize: UInt32 = 8 * 1024
    /// The longest message of a method whose contract names no limit, bytes.
    package var maxMessageSize: UInt32 = 4 * 1024 * 1024
    /// The peer pings no more often than this, on average.
    package var minPingInterval = WireDuration.seconds(1)

    // MARK: Enforced by this side alone

    /// Sum of the declared lengths of all messages under reassembly, bytes; of a stream those longer than `callCredit`,
    /// until the application has taken them.
    package var maxReassembly: UInt32 = 32 * 1024 * 1024
    /// Bytes that one stream of this side may have waiting; its writer waits beyond.
    package var streamBuffer: UInt32 = 128 * 1024
    /// Bytes of answers that wait to be sent, those of streams aside, beyond which a server takes no new calls.
    package var unsentHighWater: UInt32 = 32 * 1024 * 1024
    /// The most that it keeps of them: so far above the high water that only who takes nothing gets there.
    package var maxUnsent: UInt32 = 256 * 1024 * 1024
    /// Outbound bytes from which `isCongested` asks the driver to stop reading.
    package var outboundHighWater: UInt32 = 1024 * 1024
    /// From the start of the connection to the peer's whole HELLO.
    package var handshakeTimeout = WireDuration.seconds(5)
    /// From a frame's first byte to its last.
    package var frameTimeout = WireDuration.seconds(10)
    /// From the first fragment of a request that is one message to its last.
    package var messageTimeout = WireDuration.seconds(60)
    /// How long the transport may refuse to take waiting bytes.
    package var writeTimeout = WireDuration.seconds(30)
    /// Silence after which this side pings; raised to the peer's `minPingInterval` where that is longer.
    package var keepaliveInterval = WireDuration.seconds(10)
    /// How long it then waits for any byte.
    package var keepaliveTimeout = WireDuration.seconds(5)
    /// How long a server waits for DRAIN_ACK and open calls when `drain` names no time: where age, silence or the end of
    /// the ids ends the connection.
    package var drainGrace = WireDuration.seconds(30)
    /// How long after its beginning this side ends the connection, whatever happens on it; nil: never. The same for all
    /// connections of a process would end them together: drivers vary it.
    package var maxAge: WireDuration?
    /// How long a connection may be without calls before this side ends it; nil: for ever.
    package var idleTimeout: WireDuration?
    /// How often each kind of frame that costs the peer nothing may come.
    package var floods = FloodLimits()

    package init() {}

    /// The defaults with changes.
    package static func defaults(_ change: (inout WireLimits) -> Void = { _ in }) -> WireLimits {
        var limits = WireLimits()
        change(&limits)
        return limits
    }
}

/// Frames per `window` beyond which the connection ends (W-120). All count frames, never bytes.
package struct FloodLimits: Equatable, Sendable {
    /// The fixed window in which the counts below hold. PING has a window of its own: ten ping intervals.
    package var window = WireDuration.seconds(10)
    /// PING frames per ten `minPingInterval`s.
    package var pings: UInt32 = 20
    /// CANCEL frames, late ones included.
    package var cancels: UInt32 = 20_000
    /// CREDIT frames of less than `smallCredit` bytes.
    package var smallCredits: UInt32 = 1_000
    /// Fragments of less than `smallFragment` bytes that do not finish their message.
    package var smallFragments: UInt32 = 1_000
    /// MSG, END and CREDIT frames for calls that have ended.
    package var lateFrames: UInt32 = 20_000
    /// Frames of unknown types that ask to be ignored.
    package var unknownFrames: UInt32 = 1_000
    /// Call errors that only a faulty peer provokes.
    package var provokedErrors: UInt32 = 1_000

    package init() {}
}

extension WireLimits {
    // MARK: Constants of the protocol

    /// Shortest and longest `maxFrameSize`.
    package static let frameSizeBounds: ClosedRange<UInt32> = 16 * 1024...1024 * 1024
    /// Bounds of `maxConcurrentCalls` as a server announces it.
    package static let concurrentCallsBounds: ClosedRange<UInt32> = 1...65_536
    /// Bounds of both credits.
    package static let creditBounds: ClosedRange<UInt32> = 16 * 1024...UInt32(Int32.max)
    /// Bounds of `maxMetadataSize`.
    package static let metadataSizeBounds: ClosedRange<UInt32> = 1024...8 * 1024
    /// Bounds of `maxMessageSize`.
    package static let messageSizeBounds: ClosedRange<UInt32> = 1024...64 * 1024 * 1024
    /// Bounds of `minPingInterval`, milliseconds.
    package static let pingIntervalMillisBounds: ClosedRange<UInt32> = 10...3_600_000

    /// The longest HELLO payload.
    package static let maxHelloSize: UInt32 = 16 * 1024
    /// Service fingerprints in one HELLO.
    package static let maxFingerprints = 64
    /// Bytes of a service's name.
    package static let maxServiceNameSize = 128
    /// Entries in one block of metadata.
    package static let maxMetadataEntries = 64
    /// Bytes of a text key.
    package static let maxMetadataKeySize = 64
    /// Bytes of a status message.
    package static let maxStatusMessageSize = 1024
    /// Bytes of status details.
    package static let maxStatusDetailsSize = 4 * 1024
    /// Bytes of the reason in DRAIN and GOODBYE.
    package static let maxReasonSize = 256
    /// What a message of a stream costs of the credit beside its bytes (W-55): so that empty messages cost too.
    package static let streamMessageCost: UInt32 = 32
    /// A CREDIT below this counts as small, bytes.
    package static let smallCredit: UInt32 = 4 * 1024
    /// A fragment below this that does not finish its message counts as small, bytes.
    package static let smallFragment = 1024

    /// - Throws: the first limit that is out of its bounds or at odds with another.
    package func validate() throws(WireLimitsError) {
        try check("maxFrameSize", maxFrameSize, in: Self.frameSizeBounds)
        try check("maxConcurrentCalls", maxConcurrentCalls, in: Self.concurrentCallsBounds)
        try check("connectionCredit", connectionCredit, in: Self.creditBounds)
        try check("callCredit", callCredit, in: Self.creditBounds)
        try check("maxMetadataSize", maxMetadataSize, in: Self.metadataSizeBounds)
        try check("maxMessageSize", maxMessageSize, in: Self.messageSizeBounds)
        let pingMillis = UInt32(clamping: minPingInterval.milliseconds)
        try check("minPingInterval (ms)", pingMillis, in: Self.pingIntervalMillisBounds)
        try require(callCredit <= connectionCredit, "callCredit must not exceed connectionCredit")
        try require(maxMessageSize <= maxReassembly, "maxMessageSize must not exceed maxReassembly")
        // An answer of any length finds room when it is the only one.
        try require(maxMessageSize <= maxUnsent, "maxMessageSize must not exceed maxUnsent")
        try validateTimers()
    }

    private func validateTimers() throws(WireLimitsError) {
        let timers: [(String, WireDuration)] = [
            ("handshakeTimeout", handshakeTimeout), ("frameTimeout", frameTimeout), ("messageTimeout", messageTimeout),
            ("writeTimeout", writeTimeout), ("keepaliveInterval", keepaliveInterval),
            ("keepaliveTimeout", keepaliveTimeout), ("drainGrace", drainGrace), ("floods.window", floods.window),
            ("maxAge", maxAge ?? Self.anyTime), ("idleTimeout", idleTimeout ?? Self.anyTime),
        ]
        for (name, value) in timers {
            try require(value > .zero, "\(name) must be longer than zero")
        }
    }

    private static let anyTime = WireDuration(nanoseconds: .max)

    private func check(_ name: String, _ value: UInt32, in bounds: ClosedRange<UInt32>) throws(WireLimitsError) {
        try require(bounds.contains(value), "\(name) is \(value), not in \(bounds.lowerBound)...\(bounds.upperBound)")
    }

    private func require(_ holds: Bool, _ reason: String) throws(WireLimitsError) {
        guard holds else { throw WireLimitsError(reason: reason) }
    }
}

/// A limit out of its bounds, or two at odds. `reason` names it, its value and the bounds.
package struct WireLimitsError: Error, Equatable, CustomStringConvertible {
    package let reason: String
    package var description: String { reason }
}
