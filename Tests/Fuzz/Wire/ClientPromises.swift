import NIOCore
import WireCore

/// What a client's machine promises, kept in books of their own.
struct ClientPromises {
    private let initialCredit: UInt32
    private var kinds: [CallID: WireCallKind] = [:]
    private var ended: Set<CallID> = []
    private var cancelled: Set<CallID> = []
    private var finished: Set<CallID> = []
    private var messages: [CallID: Int] = [:]
    private var callCredit: [CallID: CreditAccount] = [:]
    private var connectionCredit: CreditAccount
    private var highest: UInt32 = 0
    private var isClosed = false
    private var saidGoodbye = false

    init(limits: WireLimits, peer: WireLimits) {
        connectionCredit = CreditAccount(peer.connectionCredit)
        initialCredit = peer.callCredit
    }

    mutating func started(_ id: CallID, _ kind: WireCallKind) throws(BrokenPromise) {
        try promise(kinds.updateValue(kind, forKey: id) == nil, "call \(id) starts twice")
        callCredit[id] = CreditAccount(initialCredit)
    }

    mutating func granted(_ id: CallID?, _ bytes: UInt32) {
        if let id { callCredit[id]?.grant(bytes) } else { connectionCredit.grant(bytes) }
    }

    func clientStreams(_ id: CallID) -> Bool { kinds[id]?.clientStreams ?? false }

    /// Messages that the application was given.
    func received(_ id: CallID) -> Int { messages[id] ?? 0 }

    // MARK: Events

    mutating func heard(_ event: ClientConnection.Event) throws(BrokenPromise) {
        try promise(!isClosed, "an event behind the last one: \(event)")
        switch event {
        case .message(let id, _):
            let isWanted = kinds[id]?.serverStreams == true && !ended.contains(id)
            try promise(isWanted, "a message for call \(id), not now")
            messages[id, default: 0] += 1
        case .writable(let id): try promise(!ended.contains(id), "room for call \(id), which has ended")
        case .ended(let id, let result): try end(id, result)
        case .closed: isClosed = true
        case .established, .slotFreed, .draining, .idle, .pong: break
        }
    }

    private mutating func end(_ id: CallID, _ result: CallResult) throws(BrokenPromise) {
        guard let kind = kinds[id] else { throw BrokenPromise("call \(id) ends and never started") }
        try promise(ended.insert(id).inserted, "call \(id) ends twice")
        guard result.status.isOK else { return }
        let hasMessage = result.message != nil
        try promise(hasMessage != kind.serverStreams, "call \(id), \(kind), is OK with message: \(hasMessage)")
    }

    // MARK: Frames

    mutating func sent(_ frame: Frame) throws(BrokenPromise) {
        try promise(!saidGoodbye, "a frame behind GOODBYE: \(frame)")
        switch frame {
        case .call(let id, let call):
            try promise(id.rawValue > highest, "call \(id) after \(highest)")
            highest = id.rawValue
            if call.endsRequest { finished.insert(id) }
        case .message(let id, let message):
            try promise(id.rawValue <= highest && !finished.contains(id), "a message for call \(id), not now")
            if message.endsRequest { finished.insert(id) }
            try pay(id, message)
        case .end(let id): try promise(finished.insert(id).inserted, "call \(id) has a second END")
        case .cancel(let id): try promise(cancelled.insert(id).inserted, "call \(id) has a second CANCEL")
        case .credit(_, let bytes): try promise(bytes >= 1, "an empty CREDIT")
        case .goodbye: saidGoodbye = true
        case .hello, .ping, .pong, .drainAck: break
        case .status, .drain, .skipped: throw BrokenPromise("a client sends \(frame)")
        }
    }

    private mutating func pay(_ id: CallID, _ message: MessageFrame) throws(BrokenPromise) {
        let (bytes, starts) = message.cost
        let overhead = starts && clientStreams(id) ? Int(WireLimits.streamMessageCost) : 0
        try callCredit[id]?.spend(bytes + overhead, "call \(id)")
        try connectionCredit.spend(bytes, "the connection")
    }

    func checkEnd() throws(BrokenPromise) {
        try promise(isClosed, "no last event")
        try promise(ended == Set(kinds.keys), "calls without a result: \(Set(kinds.keys).subtracting(ended).sorted())")
    }
}
