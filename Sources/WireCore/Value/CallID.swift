/// Names a call on one connection. Chosen by the client, strictly increasing, 1 ... 2^31 - 1 (W-20, W-21).
public struct CallID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    @inlinable public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The largest id that may travel.
    package static let max = CallID(rawValue: UInt32(Int32.max))
    /// From this id on (75 % of `max`) both sides retire the connection by draining it (W-106).
    package static let drainThreshold = CallID(rawValue: UInt32(Int32.max) / 4 * 3)

    public var description: String { String(rawValue) }

    public static func < (left: CallID, right: CallID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// How many messages travel in each direction (WIRE.md section 6).
package enum WireCallKind: UInt8, Sendable, CaseIterable {
    case unary = 0
    case clientStreaming = 1
    case serverStreaming = 2
    case bidirectional = 3

    /// The client sends any number of messages.
    package var clientStreams: Bool { self == .clientStreaming || self == .bidirectional }
    /// The server does.
    package var serverStreams: Bool { self == .serverStreaming || self == .bidirectional }
}

/// How urgent a call is. A service may lower the lane of what it forwards, never raise it.
package enum WireLane: UInt8, Sendable, CaseIterable {
    case routine = 0
    case emergency = 1
}
