import NIOCore

/// Messages too long for one frame, cut into MSG frames turn by turn as credit and the transport allow (W-47).
struct FragmentQueue: Sendable {
    private var messages: [CallID: Outgoing] = [:]
    /// Calls that may send now, in turn. May name calls that were dropped meanwhile.
    private var ready = CircularBuffer<CallID>()

    fileprivate struct Outgoing {
        var rest: ByteBuffer
        /// The START fragment has gone.
        var hasStarted: Bool
        /// The last fragment carries END.
        var endsRequest: Bool
        var window: SendWindow
        var isReady = true
    }

    var isEmpty: Bool { messages.isEmpty }

    func holds(_ call: CallID) -> Bool { messages[call] != nil }

    mutating func add(_ call: CallID, rest: ByteBuffer, hasStarted: Bool, endsRequest: Bool, window: SendWindow) {
        messages[call] = Outgoing(rest: rest, hasStarted: hasStarted, endsRequest: endsRequest, window: window)
        ready.append(call)
    }

    /// Forgets what is left of a call's message; true when something was.
    @discardableResult
    mutating func drop(_ call: CallID) -> Bool {
        messages.removeValue(forKey: call) != nil
    }

    mutating func removeAll() {
        messages = [:]
        ready = CircularBuffer()
    }

    mutating func grant(_ call: CallID, _ bytes: UInt32) throws(WireViolation) {
        guard var message = messages[call] else { return }
        try message.window.grant(bytes)
        if !message.isReady {
            message.isReady = true
            ready.append(call)
        }
        messages[call] = message
    }

    /// One fragment that was written; `isLast`: the call's message has gone whole.
    struct Step: Equatable {
        var call: CallID
        var isLast: Bool
    }

    /// Writes the next fragment, or nothing when credit is short everywhere.
    mutating func writeNext(
        to output: inout OutboundBuffer, maxFrameSize: UInt32, connection: inout SendWindow
    ) -> Step? {
        while let call = ready.popFirst() {
            guard let message = messages[call] else { continue }
            if let size = message.nextSize(maxFrameSize: maxFrameSize, connection: connection.available) {
                connection.spend(size)
                return write(call, size, to: &output)
            }
            guard message.window.available <= connection.available else {
                ready.prepend(call)
                return nil
            }
            messages[call]?.isReady = false
        }
        return nil
    }

    private mutating func write(_ call: CallID, _ size: UInt32, to output: inout OutboundBuffer) -> Step? {
        guard let frame = messages[call]?.takeFragment(size) else { return nil }
        output.write { $0.writeMessage(call, frame) }
        let isLast = messages[call]?.rest.readableBytes == 0
        if isLast { messages[call] = nil } else { ready.append(call) }
        return Step(call: call, isLast: isLast)
    }
}

extension FragmentQueue.Outgoing {
    /// Bytes of the next fragment; nil while credit is short of a fragment that is worth a frame (W-43).
    fileprivate func nextSize(maxFrameSize: UInt32, connection: UInt32) -> UInt32? {
        let wanted = UInt32(clamping: rest.readableBytes)
        let room = hasStarted ? maxFrameSize : maxFrameSize - 4
        let size = min(wanted, room, window.available, connection)
        return size == wanted || size >= UInt32(WireLimits.smallFragment) ? size : nil
    }

    fileprivate mutating func takeFragment(_ size: UInt32) -> MessageFrame? {
        let whole = UInt32(clamping: rest.readableBytes)
        guard let fragment = rest.readSlice(length: Int(size)) else { return nil }
        let start = MessageStart(length: whole, fragment: fragment)
        let content: MessageFrame.Content = hasStarted ? .next(fragment) : .start(start)
        window.spend(size)
        hasStarted = true
        return MessageFrame(content: content, endsRequest: endsRequest && rest.readableBytes == 0)
    }
}
