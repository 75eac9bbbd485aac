import NIOCore

/// The messages of a stream on their way in: at most one is under way, and those that are whole wait for the
/// application outside. Credit comes back as the application takes them (W-54).
struct IncomingStream: Sendable {
    /// The longest message, bytes.
    let limit: UInt32
    /// END came, or the call wants no more.
    private(set) var hasEnded = false
    /// Nobody takes messages any more: they are dropped as they come.
    private(set) var discards = false
    private var window: ReceiveWindow
    private var current: Incoming?
    /// What the whole messages cost that the application has not taken.
    private var untaken = CircularBuffer<Cost>(initialCapacity: 2)
    private var heldCredit: UInt32 = 0

    private struct Incoming {
        var assembly: Assembly
        var cost: Cost
    }

    private struct Cost {
        /// Credit it has used.
        var credit: UInt32 = 0
        /// Bytes it holds of the reassembly budget.
        var reserved: UInt32 = 0
    }

    init(limit: UInt32, window: UInt32) {
        self.limit = limit
        self.window = ReceiveWindow(window)
    }

    /// Credit that its sender may still use; nil after its end.
    var unusedCredit: UInt32? { hasEnded ? nil : window.available }
    /// A message is not whole yet.
    var isWithinMessage: Bool { current != nil }

    // MARK: In

    /// Takes the message that CALL begins with: its bytes there are free of credit.
    mutating func begin(
        _ start: MessageStart, budget: inout ReassemblyBudget
    ) throws(WireViolation) -> MessageBody? {
        try open(start, cost: 0, budget: &budget)
        return deliver()
    }

    /// Takes a MSG frame. The message that it makes whole, if it does.
    mutating func receive(
        _ frame: MessageFrame, budget: inout ReassemblyBudget
    ) throws(WireViolation) -> MessageBody? {
        guard !hasEnded else { throw .connection(.protocolError, 28, "a MSG after END") }
        switch frame.content {
        case .start(let start):
            let cost = UInt32(clamping: start.fragment.readableBytes) + WireLimits.streamMessageCost
            try window.receive(Int(cost))
            try open(start, cost: cost, budget: &budget)
        case .next(let fragment): try append(fragment)
        }
        return deliver()
    }

    /// Takes END.
    mutating func end() throws(WireViolation) {
        guard !hasEnded else { throw .connection(.protocolError, 28, "a second END") }
        guard current == nil else { throw MessageStart.endsEarly }
        hasEnded = true
    }

    private mutating func open(
        _ start: MessageStart, cost: UInt32, budget: inout ReassemblyBudget
    ) throws(WireViolation) {
        guard current == nil else {
            throw .connection(.protocolError, 46, "a message starts before the one before it is whole")
        }
        current = Incoming(assembly: Assembly(start, discards: discards), cost: Cost())
        guard !discards else { return }
        hold(cost)
        guard start.length <= limit else {
            throw .call(
                WireStatusCode.resourceExhausted, 40, "a message of \(start.length) bytes, the limit is \(limit)")
        }
        guard start.length > window.size else { return }
        guard budget.reserve(start.length) else {
            throw .call(WireStatusCode.resourceExhausted, 44, "too many large messages under way")
        }
        current?.cost.reserved = start.length
    }

    private mutating func append(_ fragment: ByteBuffer) throws(WireViolation) {
        guard current != nil else { throw .connection(.protocolError, 46, "a fragment without a message under way") }
        let size = UInt32(clamping: fragment.readableBytes)
        try window.receive(fragment.readableBytes)
        try current?.assembly.append(fragment)
        if !discards { hold(size) }
    }

    /// Credit that comes back when the application takes the message under way.
    private mutating func hold(_ credit: UInt32) {
        current?.cost.credit += credit
        heldCredit += credit
    }

    private mutating func deliver() -> MessageBody? {
        guard let whole = current, whole.assembly.isWhole else { return nil }
        current = nil
        guard !discards else { return nil }
        untaken.append(whole.cost)
        return whole.assembly.body.compacted
    }

    // MARK: Out

    /// The application has taken its oldest message.
    mutating func take(budget: inout ReassemblyBudget) {
        guard let cost = untaken.popFirst() else { return }
        heldCredit -= cost.credit
        budget.release(cost.reserved)
    }

    /// Nobody takes messages any more. Gives back what they held; those that come are dropped, and hold nothing.
    mutating func discard(budget: inout ReassemblyBudget) {
        while !untaken.isEmpty { take(budget: &budget) }
        discards = true
        heldCredit = 0
        guard let dropped = current else { return }
        budget.release(dropped.cost.reserved)
        // One that was refused as its last byte came is whole already: the next may start.
        current = dropped.assembly.isWhole ? nil : Incoming(assembly: dropped.assembly.discarding(), cost: Cost())
    }

    /// CREDIT to send now: what was taken, once that is half of the window; and what the message under way is short
    /// of, when nothing but it is held back.
    mutating func replenish() -> UInt32? {
        guard !hasEnded else { return nil }
        if let credit = window.replenish(keeping: heldCredit) { return credit }
        guard let current, !discards, untaken.isEmpty, current.assembly.missing > window.available else { return nil }
        return window.extend(to: current.assembly.missing)
    }
}
