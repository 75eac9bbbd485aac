/// Where a server's connection stands. The edges are the initializers of the payloads: an edge that WIRE.md
/// section 11.1 does not have cannot be written, and a payload cannot be dropped or used twice unnoticed.
///
///     handshaking -> open -> draining -> closed       (every state -> closed)
enum ServerPhase: ~Copyable, Sendable {
    case handshaking(Handshaking)
    case open(Open)
    case draining(Draining)
    case closed

    /// Waits for HELLO.
    struct Handshaking: ~Copyable, Sendable {}

    /// Takes calls.
    struct Open: ~Copyable, Sendable {
        fileprivate init(from: consuming Handshaking) {}
    }

    /// DRAIN was sent: refuses new calls, owes GOODBYE once the last one is answered.
    struct Draining: ~Copyable, Sendable {
        /// Calls above it are refused.
        let lastAccepted: UInt32
        let graceEnds: WireInstant
        fileprivate(set) var isAcknowledged = false

        fileprivate init(from: consuming Open, lastAccepted: UInt32, graceEnds: WireInstant) {
            self.lastAccepted = lastAccepted
            self.graceEnds = graceEnds
        }
    }

    var isClosed: Bool {
        switch self {
        case .closed: true
        default: false
        }
    }

    var isOpen: Bool {
        switch self {
        case .open: true
        default: false
        }
    }

    /// When a drain ends whether or not its calls have.
    var graceEnds: WireInstant? {
        switch self {
        case .draining(let draining): draining.graceEnds
        default: nil
        }
    }

    /// The drain is acknowledged: nothing but open calls keeps the connection.
    var awaitsLastCall: Bool {
        switch self {
        case .draining(let draining): draining.isAcknowledged
        default: false
        }
    }

    /// HELLO came.
    mutating func establish() {
        switch consume self {
        case .handshaking(let handshaking): self = .open(Open(from: handshaking))
        case .open(let open): self = .open(open)
        case .draining(let draining): self = .draining(draining)
        case .closed: self = .closed
        }
    }

    enum OnCall: Equatable {
        case accept
        /// Not processed: the client had not seen DRAIN.
        case refuse
        /// The client promised to start no more.
        case violation
    }

    func receiveCall(_ id: CallID) -> OnCall {
        switch self {
        case .open: .accept
        case .draining(let draining): draining.isAcknowledged ? .violation : .refuse
        default: .violation
        }
    }

    enum OnDrain: Equatable {
        /// Send DRAIN.
        case announce
        /// Nothing was promised yet: close.
        case close
        case ignore
    }

    mutating func drain(lastAccepted: UInt32, graceEnds: WireInstant) -> OnDrain {
        switch consume self {
        case .handshaking(let handshaking):
            self = .handshaking(handshaking)
            return .close
        case .open(let open):
            self = .draining(Draining(from: open, lastAccepted: lastAccepted, graceEnds: graceEnds))
            return .announce
        case .draining(let draining):
            self = .draining(draining)
            return .ignore
        case .closed:
            self = .closed
            return .ignore
        }
    }

    /// DRAIN_ACK came; false when there was nothing to acknowledge.
    mutating func acknowledge() -> Bool {
        switch consume self {
        case .handshaking(let handshaking):
            self = .handshaking(handshaking)
            return false
        case .open(let open):
            self = .open(open)
            return false
        case .draining(var draining):
            let isFirst = !draining.isAcknowledged
            draining.isAcknowledged = true
            self = .draining(draining)
            return isFirst
        case .closed:
            self = .closed
            return false
        }
    }
}
