/// A broken rule of WIRE.md: which one, in words, and how far the damage reaches.
package struct WireViolation: Error, Equatable, Sendable {
    /// The number after `W-` in WIRE.md.
    package let rule: UInt16
    /// One sentence for people: names the field or frame and both numbers where it is about a limit.
    package let reason: String
    /// How far the damage reaches.
    package let scope: Scope

    package enum Scope: Equatable, Sendable {
        /// The connection cannot go on: GOODBYE with this code, then close.
        case connection(CloseCode)
        /// Only the call ends, with this status code and processed = no; its neighbours do not notice.
        case call(statusCode: UInt32)
    }

    static func connection(_ code: CloseCode, _ rule: UInt16, _ reason: String) -> WireViolation {
        WireViolation(rule: rule, reason: reason, scope: .connection(code))
    }

    static func call(_ statusCode: UInt32, _ rule: UInt16, _ reason: String) -> WireViolation {
        WireViolation(rule: rule, reason: reason, scope: .call(statusCode: statusCode))
    }
}

/// Why a connection ends, as a number on the wire (W-110). Numbers a receiver does not know read as `internalError`.
package enum CloseCode: UInt16, Sendable, CaseIterable {
    /// A wish, not a fault: drained, or no longer needed.
    case none = 0
    /// A frame that makes no sense, or not now.
    case protocolError = 1
    /// A frame longer than the receiver's limit.
    case frameTooLarge = 2
    /// More message bytes than credit, or credit beyond its bound.
    case flowControl = 3
    /// Too many frames of a kind in a window.
    case flood = 4
    /// A timer ran out: handshake, frame, keepalive, write or drain.
    case timeout = 5
    /// No common major version.
    case version = 6
    /// A fault of the sender's own.
    case internalError = 7
}

/// How and why a connection ended.
package struct WireClosure: Equatable, Sendable {
    package let origin: Origin
    package let code: CloseCode
    /// The broken rule's number in WIRE.md; 0: none.
    package let rule: UInt16
    package let reason: String

    package init(origin: Origin, code: CloseCode, rule: UInt16 = 0, reason: String) {
        self.origin = origin
        self.code = code
        self.rule = rule
        self.reason = reason
    }

    package enum Origin: Sendable {
        /// This side closed: a violation it saw, a timer, or its own wish.
        case local
        /// The peer said GOODBYE.
        case remote
        /// The transport ended without a GOODBYE.
        case transport
    }
}
