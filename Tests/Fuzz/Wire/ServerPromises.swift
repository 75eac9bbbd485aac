import NIOCore
import WireCore

/// What a server's machine promises, kept in books of their own.
struct ServerPromises {
    private let limits: WireLimits
    private var kinds: [CallID: UInt8] = [:]
    /// Calls that a handler was given, and has not answered.
    private(set) var running: Set<CallID> = []
    private var delivered: Set<CallID> = []
    private var cancelled: Set<CallID> = []
    private var expired: Set<CallID> = []
    private var requestEnded: Set<CallID> = []
    private var statuses: Set<CallID> = []
    /// Lengths of messages that the application has not taken.
    private var inbox: [CallID: [Int]] = [:]
    private var callCredit: [CallID: CreditAccount] = [:]
    private var connectionCredit: CreditAccount
    private let initialCredit: UInt32
    private var isClosed = false
    private var saidGoodbye = false

    init(limits: WireLimits, peer: WireLimits) {
        self.limits = limits
        connectionCredit = CreditAccount(peer.connectionCredit)
        initialCredit = peer.callCredit
    }

    // MARK: What the other side did

    mutating func called(_ id: CallID, kind: UInt8) {
        guard kinds[id] == nil else { return }
        kinds[id] = kind
        callCredit[id] = CreditAccount(initialCredit)
    }

    mutating func granted(_ id: CallID?, _ bytes: UInt32) {
        if let id { callCredit[id]?.grant(bytes) } else { connectionCredit.grant(bytes) }
    }

    mutating func answered(_ id: CallID) {
        running.remove(id)
        inbox[id] = nil
    }

    mutating func take(_ id: CallID) {
        if inbox[id]?.isEmpty == false { inbox[id]?.removeFirst() }
    }

    func untaken(_ id: CallID) -> Int { inbox[id]?.count ?? 0 }

    /// Whether the server answers with a stream.
    func streams(_ id: CallID) -> Bool { kinds[id].flatMap(WireCallKind.init)?.serverStreams ?? false }

    // MARK: Events

    mutating func heard(_ event: ServerConnection.Event) throws(BrokenPromise) {
        try promise(!isClosed, "an event behind the last one: \(event)")
        switch event {
        case .call(let call):
            try promise(delivered.insert(call.id).inserted, "call \(call.id) comes twice")
            try promise(!statuses.contains(call.id), "call \(call.id) comes after its STATUS")
            running.insert(call.id)
            try promise(running.count <= limits.maxConcurrentCalls, "\(running.count) handlers run")
        case .message(let id, let message):
            let isWanted = !requestEnded.contains(id) && !cancelled.contains(id) && !expired.contains(id)
            try promise(running.contains(id) && isWanted, "a message for call \(id), not now")
            inbox[id, default: []].append(message.count)
        case .requestEnded(let id):
            try promise(running.contains(id) && requestEnded.insert(id).inserted, "an end for call \(id), not now")
        case .cancelled(let id):
            try promise(running.contains(id) && cancelled.insert(id).inserted, "call \(id) is cancelled, not now")
            inbox[id] = nil
        case .expired(let id):
            try promise(running.contains(id) && expired.insert(id).inserted, "call \(id) expires, not now")
            inbox[id] = nil
        case .aborted(let id):
            try promise(running.remove(id) != nil, "call \(id) is let go, and nothing was owed")
            inbox[id] = nil
        case .closed: isClosed = true
        case .established, .writable, .pong, .drainAcknowledged: break
        }
    }

    // MARK: Frames

    mutating func sent(_ frame: Frame) throws(BrokenPromise) {
        try promise(!saidGoodbye, "a frame behind GOODBYE: \(frame)")
        switch frame {
        case .status(let id, let status):
            try promise(statuses.insert(id).inserted, "call \(id) has a second STATUS")
            try promise(!running.contains(id), "call \(id) has a STATUS, and its handler still owes one")
            let mayNotHaveRun = status.processed == .no
            try promise(!mayNotHaveRun || !delivered.contains(id), "call \(id) ran, and its STATUS says it did not")
        case .message(let id, let message):
            try promise(delivered.contains(id) && !statuses.contains(id), "a message for call \(id), not now")
            try pay(id, message)
        case .credit(_, let bytes): try promise(bytes >= 1, "an empty CREDIT")
        case .goodbye: saidGoodbye = true
        case .hello, .ping, .pong, .drain: break
        case .call, .end, .cancel, .drainAck, .skipped: throw BrokenPromise("a server sends \(frame)")
        }
    }

    private mutating func pay(_ id: CallID, _ message: MessageFrame) throws(BrokenPromise) {
        let (bytes, starts) = message.cost
        let overhead = starts && streams(id) ? Int(WireLimits.streamMessageCost) : 0
        try callCredit[id]?.spend(bytes + overhead, "call \(id)")
        try connectionCredit.spend(bytes, "the connection")
    }

    // MARK: Always

    /// What an application has not taken is within its call's credit, or paid for by the reassembly budget.
    func checkMemory() throws(BrokenPromise) {
        var long = 0
        for (id, sizes) in inbox {
            let held = sizes.reduce(0) { $0 + $1 + Int(WireLimits.streamMessageCost) }
            let slack = Int(WireLimits.smallCredit) + Int(WireLimits.streamMessageCost) + Int(limits.maxFrameSize)
            let bound = max(Int(limits.callCredit), sizes.max() ?? 0) + slack
            try promise(held <= bound, "call \(id) holds \(held) bytes, \(bound) at most")
            long += sizes.filter { $0 > limits.callCredit }.reduce(0, +)
        }
        try promise(long <= limits.maxReassembly, "\(long) bytes of long messages")
    }

    func checkEnd() throws(BrokenPromise) {
        try promise(isClosed, "no last event")
        try promise(running.isEmpty, "handlers of \(running.sorted()) were not let go")
    }
}
