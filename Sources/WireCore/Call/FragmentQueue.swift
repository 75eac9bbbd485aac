import NIOCore

/// Messages on their way out in MSG frames, cut turn by turn as credit and the transport allow (W-47): the one message
/// of a call that does not fit its frame, or all messages of a stream.
struct FragmentQueue: Sendable {
    private var senders: [CallID: Sender] = [:]
    /// Calls that may send now, in turn. May name calls that were dropped meanwhile.
    private var ready = CircularBuffer<CallID>()
    /// Bytes that one stream may have waiting here; its writer waits beyond.
    private let streamBuffer: Int
    /// Bytes of messages that are no stream's: nobody suspends whoever adds them.
    private(set) var waiting = 0

    init(streamBuffer: UInt32) {
        self.streamBuffer = Int(streamBuffer)
    }

    /// Whether `writeNext` may find something to do.
    var isIdle: Bool { ready.isEmpty }

    func holds(_ call: CallID) -> Bool { !senders.isEmpty && senders[call] != nil }

    /// The one message of a call, or what is left of it.
    ///
    /// - Parameter sent: Bytes of it that have gone with the CALL; nil: the message has not started.
    mutating func add(_ call: CallID, _ message: MessageBody, sent: Int?, endsRequest: Bool, window: SendWindow) {
        let rest = MessageRest(message, sent: sent ?? 0)
        senders[call] = Sender(
            rest: rest, hasStarted: sent != nil, isFinished: true, endsRequest: endsRequest, window: window)
        waiting += rest.count
        ready.append(call)
    }

    /// A stream, which has nothing to send yet.
    mutating func open(_ call: CallID, endsRequest: Bool, window: SendWindow) {
        senders[call] = Sender(endsRequest: endsRequest, window: window, stream: Sender.Stream())
    }

    /// Adds a message to a stream. Whether there is room for another; if not, a step will say when there is. Nil when
    /// the call sends no more.
    mutating func enqueue(_ call: CallID, _ message: ByteBuffer) -> Bool? {
        guard let index = senders.index(forKey: call), !senders.values[index].isFinished else { return nil }
        let hasRoom = senders.values[index].enqueue(message, limit: streamBuffer)
        wake(index)
        return hasRoom
    }

    /// No message follows. True when nothing waits, and the end is for the caller to write; else it follows the last
    /// fragment. Nil when the call sends no more already.
    mutating func finish(_ call: CallID) -> Bool? {
        guard let index = senders.index(forKey: call), !senders.values[index].isFinished else { return nil }
        guard senders.values[index].rest == nil else {
            senders.values[index].isFinished = true
            return false
        }
        senders.remove(at: index)
        return true
    }

    /// Forgets what is left to send for a call; true when there was something.
    @discardableResult
    mutating func drop(_ call: CallID) -> Bool {
        guard !senders.isEmpty, let sender = senders.removeValue(forKey: call) else { return false }
        if sender.stream == nil { waiting -= sender.rest?.count ?? 0 }
        return true
    }

    mutating func removeAll() {
        senders = [:]
        waiting = 0
        ready = CircularBuffer()
    }

    mutating func grant(_ call: CallID, _ bytes: UInt32) throws(WireViolation) {
        guard let index = senders.index(forKey: call) else { return }
        try senders.values[index].window.grant(bytes)
        wake(index)
    }

    private mutating func wake(_ index: Dictionary<CallID, Sender>.Index) {
        guard !senders.values[index].isReady, senders.values[index].rest != nil else { return }
        senders.values[index].isReady = true
        ready.append(senders.keys[index])
    }

    /// One fragment that was written.
    struct Step: Equatable {
        var call: CallID
        /// The last message has gone whole, and no other follows.
        var isLast = false
        /// The stream whose writer was told to wait has room again.
        var hasRoom = false
    }

    /// Writes the next fragment, or nothing when credit is short everywhere.
    mutating func writeNext(
        to output: inout OutboundBuffer, maxFrameSize: UInt32, connection: inout SendWindow
    ) -> Step? {
        while let call = ready.popFirst() {
            guard let index = senders.index(forKey: call), senders.values[index].isReady else { continue }
            if let size = senders.values[index].nextSize(maxFrameSize: maxFrameSize, credit: connection.available) {
                connection.spend(size.bytes)
                return write(index, size, to: &output)
            }
            guard senders.values[index].window.available <= connection.available else {
                ready.prepend(call)
                return nil
            }
            senders.values[index].isReady = false
        }
        return nil
    }

    private mutating func write(
        _ index: Dictionary<CallID, Sender>.Index, _ size: Sender.Size, to output: inout OutboundBuffer
    ) -> Step? {
        let call = senders.keys[index]
        guard let fragment = senders.values[index].takeFragment(size) else { return nil }
        if senders.values[index].stream == nil { waiting -= Int(size.bytes) }
        output.write { $0.writeMessage(call, fragment) }
        var step = Step(call: call, hasRoom: senders.values[index].takeRoom(limit: streamBuffer))
        if senders.values[index].rest != nil {
            ready.append(call)
        } else if senders.values[index].isFinished {
            step.isLast = true
            senders.remove(at: index)
        } else {
            senders.values[index].isReady = false
        }
        return step
    }
}

/// What is left of a message on its way out, however the caller holds it: it is copied to its frames from there.
struct MessageRest: Sendable {
    private let message: MessageBody
    private var position: Int

    init(_ message: MessageBody, sent: Int) { (self.message, position) = (message, min(sent, message.count)) }

    /// Bytes that are left.
    var count: Int { message.count - position }

    /// Takes as many as that, or all.
    mutating func take(_ count: Int) -> OutgoingFragment.Bytes {
        let end = position + min(count, self.count)
        defer { position = end }
        return OutgoingFragment.Bytes(message: message, range: position..<end)
    }
}

/// What one MSG frame carries of a message.
struct OutgoingFragment {
    /// The message's length, of its first fragment.
    var start: UInt32?
    var bytes: Bytes
    var endsRequest: Bool

    struct Bytes {
        var message: MessageBody
        var range: Range<Int>
    }
}

/// What one call has to send in MSG frames, and what credit it has for it.
private struct Sender {
    /// What is left of the message under way; nil: there is none.
    var rest: MessageRest?
    /// Its first fragment has gone.
    var hasStarted = false
    /// No message follows those that are here.
    var isFinished = false
    /// The last fragment carries END.
    var endsRequest: Bool
    var window: SendWindow
    /// Stands in the queue of those that may send.
    var isReady = false
    /// Nil for a call whose direction has one message.
    var stream: Stream?

    struct Stream {
        /// Messages behind the one under way.
        var next = CircularBuffer<ByteBuffer>(initialCapacity: 2)
        /// Bytes of all messages here.
        var waiting = 0
        /// The writer was told to wait.
        var owesRoom = false
    }

    /// Message bytes of a fragment, and what they cost of the call's credit.
    struct Size {
        var bytes: UInt32
        var cost: UInt32
    }
}

extension Sender {
    init(rest: MessageRest, hasStarted: Bool, isFinished: Bool, endsRequest: Bool, window: SendWindow) {
        self.init(endsRequest: endsRequest, window: window)
        self.rest = rest
        self.hasStarted = hasStarted
        self.isFinished = isFinished
        isReady = true
    }

    /// The next fragment; nil while credit is short of one that is worth a frame (W-43).
    func nextSize(maxFrameSize: UInt32, credit: UInt32) -> Size? {
        guard let rest else { return nil }
        let overhead = stream == nil || hasStarted ? 0 : WireLimits.streamMessageCost
        guard window.available >= overhead else { return nil }
        let credit = min(window.available - overhead, credit)
        let wanted = UInt32(clamping: rest.count)
        let room = hasStarted ? maxFrameSize : maxFrameSize - 4
        let size = min(wanted, room, credit)
        guard size == wanted || size >= UInt32(WireLimits.smallFragment) else { return nil }
        return Size(bytes: size, cost: size + overhead)
    }

    mutating func takeFragment(_ size: Size) -> OutgoingFragment? {
        guard var left = rest else { return nil }
        let length = hasStarted ? nil : UInt32(clamping: left.count)
        var fragment = OutgoingFragment(start: length, bytes: left.take(Int(size.bytes)), endsRequest: false)
        window.spend(size.cost)
        stream?.waiting -= Int(size.cost)
        hasStarted = true
        guard left.count == 0 else {
            rest = left
            return fragment
        }
        rest = nil
        if !startNext() { fragment.endsRequest = isFinished && endsRequest }
        return fragment
    }

    /// Makes the next waiting message the one under way.
    private mutating func startNext() -> Bool {
        guard rest == nil, let next = stream?.next.popFirst() else { return false }
        rest = MessageRest(.buffer(next), sent: 0)
        hasStarted = false
        return true
    }

    mutating func enqueue(_ message: ByteBuffer, limit: Int) -> Bool {
        let waiting = (stream?.waiting ?? 0) + message.readableBytes + Int(WireLimits.streamMessageCost)
        stream?.waiting = waiting
        // Never taken back here: another writer may wait for it.
        if waiting >= limit { stream?.owesRoom = true }
        if rest == nil {
            rest = MessageRest(.buffer(message), sent: 0)
            hasStarted = false
        } else {
            stream?.next.append(message)
        }
        return waiting < limit
    }

    /// Whether the writer is to be told that there is room.
    mutating func takeRoom(limit: Int) -> Bool {
        guard let stream, stream.owesRoom, stream.waiting <= limit / 2 else { return false }
        self.stream?.owesRoom = false
        return true
    }
}
