import NIOCore
import WireCore

extension FuzzTarget {
    /// A server's frames, an application's wishes and time, in any order, to a client's machine.
    package static let client = FuzzTarget("client") { bytes, plant throws(BrokenPromise) in
        var input = FuzzInput(bytes)
        let play = try ClientPlay(&input, plant)
        var steps = 0
        while !input.isEmpty, steps < 500 {
            try play.act(&input)
            steps += 1
        }
        try play.end()
    }
}

/// A client under test and what it has promised so far.
private final class ClientPlay {
    private var client: ClientConnection
    private var now = WireInstant(nanoseconds: 1_000_000_000)
    private let peer: WireLimits
    private let plant: Plant
    private var script = PeerScript()
    private var unread = ByteBuffer()
    private var granted: GrantReader
    private var decoder: FrameDecoder
    private var promises: ClientPromises

    init(_ input: inout FuzzInput, _ plant: Plant) throws(BrokenPromise) {
        self.plant = plant
        let limits = Edge.limits(&input)
        peer = Edge.limits(&input)
        let isLate = input.byte() % 16 == 15
        let first = isLate ? CallID(rawValue: CallID.drainThreshold.rawValue - 2) : CallID(rawValue: 1)
        do throws(WireLimitsError) {
            client = try ClientConnection(limits: limits, firstCallID: first, now: now)
        } catch {
            throw BrokenPromise("the limits are refused: \(error)")
        }
        decoder = FrameDecoder(maxFrameSize: peer.maxFrameSize)
        granted = GrantReader(limits)
        promises = ClientPromises(limits: limits, peer: peer)
        guard input.byte() % 16 != 0 else { return }
        writeHello()
        try deliver()
    }

    func act(_ input: inout FuzzInput) throws(BrokenPromise) {
        let choice = input.byte()
        switch choice % 20 {
        case 0...2: try start(&input)
        case 3...6: unread.writeMessage(script.call(&input), script.message(&input, ends: input.byte() == 255))
        case 7...9: writeStatus(&input)
        case 10: writeCredit(&input)
        case 11: writeRare(&input)
        case 12: unread.writeBytes(input.bytes(atMost: 64))
        case 13: try wait(&input)
        case 14...18: try wish(&input)
        default: try end(&input)
        }
        if choice & 0x80 == 0 { try deliver() }
    }

    /// The end of the transport, whatever came before it.
    func end() throws(BrokenPromise) {
        client.connectionClosed(now: now)
        try pull()
        let open = client.openCallCount
        try promise(open == 0, "\(open) calls outlive their connection")
        try promises.checkEnd()
    }

    // MARK: The server

    private func writeHello() {
        unread.writeHello(HelloFrame(limits: peer, acceptsCalls: true, fingerprints: []))
    }

    private func writeStatus(_ input: inout FuzzInput) {
        let id = script.call(&input)
        let code = UInt32(input.below(20)) / 4 * 5
        let size = input.choose(Edge.sizes)
        var status = WireStatus(
            code: code, message: "text", processed: WireStatus.Processed(rawValue: UInt8(input.below(3))) ?? .maybe)
        if input.below(8) == 7 { status.metadata.append("A b", [1]) }
        let hasBody = code == 0 && input.flag()
        unread.writeStatus(id, status, body: hasBody ? .buffer(ByteBuffer(repeating: 3, count: min(size, 16_000))) : nil)
    }

    private func writeCredit(_ input: inout FuzzInput) {
        let id = input.flag() ? script.call(&input) : nil
        let bytes = input.choose(Edge.credits)
        unread.writeCredit(id, bytes)
    }

    private func writeRare(_ input: inout FuzzInput) {
        let last = input.flag() ? script.highest : UInt32(input.below(3))
        switch input.below(6) {
        case 0: unread.writePong(UInt64(input.below(4)))
        case 1: unread.writePing(UInt64(input.byte()))
        case 2: unread.writeDrain(DrainFrame(lastCall: last, graceMillis: 5, reason: "drain"))
        case 3: unread.writeGoodbye(GoodbyeFrame(code: .none, rule: 0, lastCall: last, reason: "bye"))
        case 4: unread.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), UInt32(0))
        default: writeHello()
        }
    }

    private func deliver() throws(BrokenPromise) {
        guard unread.readableBytes > 0 else { return try pull() }
        let bytes = unread
        unread = ByteBuffer()
        for grant in granted.grants(in: bytes) { promises.granted(grant.id, grant.bytes) }
        client.receive(bytes, now: now)
        try pull()
    }

    // MARK: The application, the driver and the clock

    private func start(_ input: inout FuzzInput) throws(BrokenPromise) {
        let kind = WireCallKind(rawValue: UInt8(input.below(4))) ?? .unary
        let size = kind.clientStreams ? 0 : input.choose(Edge.sizes)
        let within = input.choose(Edge.millis)
        let deadline = input.flag() ? now.advanced(by: .milliseconds(within)) : nil
        let limit: UInt32? = input.below(6) == 5 ? 10_000 : nil
        var metadata = WireMetadata()
        if input.below(8) == 7 { metadata.append(input.flag() ? "key" : "Bad Key", input.bytes(atMost: 16)) }
        let call = OutgoingCall(
            method: 1, kind: kind, deadline: deadline, metadata: metadata,
            message: ByteBuffer(repeating: 5, count: size), responseLimit: limit)
        if let id = try? client.startCall(call, now: now) {
            try promises.started(id, kind)
            script.highest = id.rawValue
        }
        try pull()
    }

    private func wish(_ input: inout FuzzInput) throws(BrokenPromise) {
        let id = script.call(&input)
        switch input.below(6) {
        case 0: client.cancel(id, now: now)
        case 1: client.finishRequest(id)
        case 2: client.take(id)
        case 3: _ = client.ping(now: now)
        default:
            let size = input.choose(Edge.sizes)
            // Only a call whose client streams may be sent to.
            if promises.clientStreams(id) { _ = client.send(id, message: ByteBuffer(repeating: 5, count: size)) }
        }
        try pull()
    }

    private func end(_ input: inout FuzzInput) throws(BrokenPromise) {
        switch input.below(8) {
        case 0: client.drain(now: now)
        case 1: client.close("close", now: now)
        case 2: client.connectionClosed(now: now)
        default: client.handleTimeout(now: now)
        }
        try pull()
    }

    private func wait(_ input: inout FuzzInput) throws(BrokenPromise) {
        now = now.advanced(by: .milliseconds(input.choose(Edge.millis)))
        client.handleTimeout(now: now)
        try pull()
    }

    private func pull() throws(BrokenPromise) {
        try pullEvents()
        while let bytes = client.takeOutbound() {
            for frame in try decode(bytes, &decoder) { try promises.sent(frame) }
        }
        try pullEvents()
        let open = client.openCallCount
        try promise(open <= peer.maxConcurrentCalls, "\(open) open calls")
    }

    private func pullEvents() throws(BrokenPromise) {
        while let event = client.nextEvent() {
            // The built-in fault: a stream that is cancelled behind a message ends twice.
            if plant == .planted, case .ended(let id, let result) = event, promises.received(id) > 0,
                result.origin == .local, result.status.code == WireStatusCode.cancelled
            {
                try promises.heard(event)
            }
            try promises.heard(event)
        }
    }
}
