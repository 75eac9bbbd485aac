/// Where a client's connection stands. The edges are the initializers of the payloads, as in `ServerPhase`.
///
///     handshaking -> open -> draining -> closed       (every state -> closed)
enum ClientPhase: ~Copyable, Sendable {
    case handshaking(Handshaking)
    case open(Open)
    case draining(Draining)
    case closed

    /// Waits for the server's HELLO; no call may start.
    struct Handshaking: ~Copyable, Sendable {}

    /// Starts calls.
    struct Open: ~Copyable, Sendable {
        fileprivate init(from: consuming Handshaking) {}
    }

    /// Starts no more calls; owes the end of the connection once the last one has ended.
    struct Draining: ~Copyable, Sendable {
        /// What the server's DRAIN said: calls above it do not run. Nil while only this side wants to end.
        fileprivate(set) var lastAccepted: UInt32?

        fileprivate init(from: consuming Open, lastAccepted: UInt32?) {
            self.lastAccepted = lastAccepted
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

    /// Calls above it did not run, as far as DRAIN told.
    var lastAccepted: UInt32? {
        switch self {
        case .draining(let draining): draining.lastAccepted
        default: nil
        }
    }

    /// This side, not the server, ends the connection after its last call.
    var endsAfterLastCall: Bool {
        switch self {
        case .draining(let draining): draining.lastAccepted == nil
        default: false
        }
    }

    /// Why a call cannot start; nil: it can.
    var refusal: StartCallError? {
        switch self {
        case .handshaking: .notEstablished
        case .open: nil
        case .draining: .draining
        case .closed: .closed
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

    enum OnDrain: Equatable {
        /// The connection takes no more calls from now on.
        case announce
        /// It did not before; only who ends it may have changed.
        case continueDraining
        /// Nothing was started yet: close.
        case close
        /// DRAIN came twice.
        case violation
        case ignore
    }

    /// This side wants to end.
    mutating func drain() -> OnDrain {
        switch consume self {
        case .handshaking(let handshaking):
            self = .handshaking(handshaking)
            return .close
        case .open(let open):
            self = .draining(Draining(from: open, lastAccepted: nil))
            return .announce
        case .draining(let draining):
            self = .draining(draining)
            return .ignore
        case .closed:
            self = .closed
            return .ignore
        }
    }

    /// DRAIN came.
    mutating func receiveDrain(lastAccepted: UInt32) -> OnDrain {
        switch consume self {
        case .handshaking(let handshaking):
            self = .handshaking(handshaking)
            return .violation
        case .open(let open):
            self = .draining(Draining(from: open, lastAccepted: lastAccepted))
            return .announce
        case .draining(var draining):
            let isFirst = draining.lastAccepted == nil
            draining.lastAccepted = draining.lastAccepted ?? lastAccepted
            self = .draining(draining)
            return isFirst ? .continueDraining : .violation
        case .closed:
            self = .closed
            return .ignore
        }
    }
}
