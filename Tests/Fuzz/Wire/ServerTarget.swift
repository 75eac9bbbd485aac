import NIOCore
import WireCore

extension FuzzTarget {
    /// A client's frames, a handler's answers, time and the driver's wishes, in any order, to a server's machine.
    package static let server = FuzzTarget("server") { bytes, plant throws(BrokenPromise) in
        var input = FuzzInput(bytes)
        let play = try ServerPlay(&input, plant)
        var steps = 0
        while !input.isEmpty, steps < 500 {
            try play.act(&input)
            steps += 1
        }
        try play.end()
    }
}

/// A server under test and what it has promised so far.
private final class ServerPlay {
    private var server: ServerConnection
    private var now = WireInstant(nanoseconds: 1_000_000_000)
    private let limits: WireLimits
    private let peer: WireLimits
    private let plant: Plant
    private var script = PeerScript()
    private var unread = ByteBuffer()
    private var granted: GrantReader
    private var decoder: FrameDecoder
    private var promises: ServerPromises

    init(_ input: inout FuzzInput, _ plant: Plant) throws(BrokenPromise) {
        self.plant = plant
        limits = Edge.limits(&input)
        peer = Edge.limits(&input)
        let acceptsStreams = input.byte() % 4 != 0
        do throws(WireLimitsError) {
            server = try ServerConnection(
                limits: limits, requestLimits: [1: 10_000], acceptsStreams: acceptsStreams, now: now)
        } catch {
            throw BrokenPromise("the limits are refused: \(error)")
        }
        decoder = FrameDecoder(maxFrameSize: peer.maxFrameSize)
        granted = GrantReader(limits)
        promises = ServerPromises(limits: limits, peer: peer)
        guard input.byte() % 16 != 0 else { return }
        unread.writeHello(HelloFrame(limits: peer, acceptsCalls: false, fingerprints: []))
        try deliver()
    }

    func act(_ input: inout FuzzInput) throws(BrokenPromise) {
        let choice = input.byte()
        switch choice % 20 {
        case 0...2:
            let call = script.writeCall(&input, to: &unread)
            promises.called(call.id, kind: call.kind)
        case 3, 4: unread.writeMessage(script.call(&input), script.message(&input, ends: input.byte() % 8 == 0))
        case 5: unread.writeEnd(script.call(&input))
        case 6: unread.writeCancel(script.call(&input))
        case 7, 8: writeCredit(&input)
        case 9: unread.writePing(UInt64(input.byte()))
        case 10: writeRare(&input)
        case 11: unread.writeBytes(input.bytes(atMost: 64))
        case 12, 13: try wait(&input)
        case 14...18: try answer(&input)
        default: try wish(&input)
        }
        if choice & 0x80 == 0 { try deliver() }
    }

    /// The end of the transport, whatever came before it.
    func end() throws(BrokenPromise) {
        server.connectionClosed(now: now)
        try pull()
        let open = server.openCallCount
        try promise(open == 0, "\(open) calls outlive their connection")
        try promises.checkEnd()
    }

    // MARK: The client

    private func writeCredit(_ input: inout FuzzInput) {
        let id = input.flag() ? script.call(&input) : nil
        let bytes = input.choose(Edge.credits)
        unread.writeCredit(id, bytes)
    }

    private func writeRare(_ input: inout FuzzInput) {
        switch input.below(5) {
        case 0: unread.writePong(UInt64(input.below(4)))
        case 1: unread.writeDrainAck(UInt32(input.below(4)) == 0 ? 0 : script.highest)
        case 2: unread.writeGoodbye(GoodbyeFrame(code: .none, rule: 0, lastCall: 0, reason: "bye"))
        case 3: unread.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), UInt32(0))
        default: unread.writeHello(HelloFrame(limits: peer, acceptsCalls: false, fingerprints: []))
        }
    }

    /// A driver does not read while the server is congested.
    private func deliver() throws(BrokenPromise) {
        guard !server.isCongested, unread.readableBytes > 0 else { return try pull() }
        let bytes = unread
        unread = ByteBuffer()
        for grant in granted.grants(in: bytes) { promises.granted(grant.id, grant.bytes) }
        server.receive(bytes, now: now)
        try pull()
    }

    // MARK: The handler, the driver and the clock

    private func answer(_ input: inout FuzzInput) throws(BrokenPromise) {
        let id = script.call(&input)
        let isOwed = promises.running.contains(id)
        let isServerStream = promises.streams(id)
        let size = input.choose(Edge.sizes)
        let did: Bool?
        switch input.below(6) {
        case 0 where isServerStream, 1 where isServerStream: did = server.finish(id)
        case 0, 1: did = server.succeed(id, message: .buffer(ByteBuffer(repeating: 5, count: size)))
        case 2: did = server.fail(id, with: WireStatus(code: 9, message: "no", processed: .yes))
        case 3:
            server.take(id)
            promises.take(id)
            did = nil
        default:
            if isServerStream { _ = server.send(id, message: ByteBuffer(repeating: 5, count: size)) }
            did = nil
        }
        if let did {
            try promise(did == isOwed, "call \(id): the answer is \(did ? "taken" : "refused"), owed: \(isOwed)")
            promises.answered(id)
        }
        try pull()
    }

    private func wish(_ input: inout FuzzInput) throws(BrokenPromise) {
        switch input.below(8) {
        case 0: server.drain("drain", grace: .milliseconds(input.choose(Edge.millis)), now: now)
        case 1: server.close("close", now: now)
        case 2: server.connectionClosed(now: now)
        case 3: _ = server.ping(now: now)
        default:
            server.limit(script.call(&input), to: now.advanced(by: .milliseconds(input.choose(Edge.millis))))
        }
        try pull()
    }

    private func wait(_ input: inout FuzzInput) throws(BrokenPromise) {
        now = now.advanced(by: .milliseconds(input.choose(Edge.millis)))
        server.handleTimeout(now: now)
        try pull()
    }

    private func pull() throws(BrokenPromise) {
        try pullEvents()
        while let bytes = server.takeOutbound() {
            for frame in try decode(bytes, &decoder) { try promises.sent(frame) }
        }
        try pullEvents()
        let open = server.openCallCount
        try promise(open <= limits.maxConcurrentCalls, "\(open) open calls")
        try promises.checkMemory()
    }

    private func pullEvents() throws(BrokenPromise) {
        while let event = server.nextEvent() {
            // The built-in fault: a handler that is cancelled with messages waiting is told so twice.
            if plant == .planted, case .cancelled(let id) = event, promises.untaken(id) > 0 { try promises.heard(event) }
            try promises.heard(event)
        }
    }
}
