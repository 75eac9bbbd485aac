import NIOCore

/// What both ends of a connection have in common: bytes in and out, credit, keepalive, floods, timers.
/// Calls and their states belong to `ServerConnection` and `ClientConnection`.
struct Link: ~Copyable, Sendable {
    let limits: WireLimits
    private let role: WireRole
    private(set) var peer: HelloFrame?
    private var decoder: FrameDecoder
    var output = OutboundBuffer()
    var fragments: FragmentQueue
    var keepalive: Keepalive
    var floods: FloodGuard
    var budget: ReassemblyBudget
    private(set) var sendWindow = SendWindow(0)
    private var receiveWindow: ReceiveWindow
    private let handshakeDue: WireInstant
    /// Since when part of a frame waits for the rest.
    private var partialSince: WireInstant?
    /// The driver was asked to stop reading since the timers last ran: the silence may be this side's own (W-133).
    private var hasWithheldReads = false

    /// Writes this side's HELLO.
    init(
        role: WireRole, limits: WireLimits, fingerprints: [ServiceFingerprint], now: WireInstant
    ) throws(WireLimitsError) {
        try limits.validate()
        try Self.check(fingerprints)
        self.role = role
        self.limits = limits
        decoder = FrameDecoder(maxFrameSize: limits.maxFrameSize)
        keepalive = Keepalive(limits, now: now)
        floods = FloodGuard(limits)
        budget = ReassemblyBudget(limits.maxReassembly)
        fragments = FragmentQueue(streamBuffer: limits.streamBuffer)
        receiveWindow = ReceiveWindow(limits.connectionCredit)
        handshakeDue = now.advanced(by: limits.handshakeTimeout)
        let hello = HelloFrame(limits: limits, acceptsCalls: role == .server, fingerprints: fingerprints)
        output.write { $0.writeHello(hello) }
    }

    private static func check(_ fingerprints: [ServiceFingerprint]) throws(WireLimitsError) {
        guard fingerprints.count <= WireLimits.maxFingerprints else {
            throw WireLimitsError(
                reason: "\(fingerprints.count) services, HELLO carries at most \(WireLimits.maxFingerprints)")
        }
        for entry in fingerprints where !HelloFrame.isServiceName(entry.service.utf8) {
            throw WireLimitsError(reason: "\(entry.service) is not a protobuf name that HELLO can carry")
        }
    }

    /// The longest payload the peer takes; before its HELLO what every peer takes.
    var peerFrameSize: Int { Int(peer?.maxFrameSize ?? WireLimits.frameSizeBounds.lowerBound) }
    /// Only a server stops reading (W-133). Were both sides to stop, neither would ever take what the other waits with;
    /// what reaches a client is bounded by its own calls and credit.
    var isCongested: Bool { role == .server && output.byteCount >= limits.outboundHighWater }
}

// MARK: Bytes

extension Link {
    /// Outbound bytes up to which fragments are cut in one go: what is encrypted, sent and read at once should stay in a core's cache.
    private static let burst = 128 * 1024

    mutating func beginRead(_ bytes: ByteBuffer, now: WireInstant) {
        guard bytes.readableBytes > 0 else { return }
        keepalive.heard(now)
        decoder.append(bytes)
    }

    /// The next whole frame. Each one restarts the frame timer.
    mutating func nextFrame() throws(WireViolation) -> Frame? {
        guard let frame = try decoder.next() else { return nil }
        partialSince = nil
        return frame
    }

    mutating func endRead(_ now: WireInstant) {
        decoder.releaseConsumed()
        partialSince = decoder.holdsPartialFrame ? partialSince ?? now : nil
        output.noteTime(now)
    }

    var holdsPartialFrame: Bool { decoder.holdsPartialFrame }
    /// `STATUS`, or a number for a type that this version does not know.
    var lastFrame: String? {
        decoder.lastType.map { FrameType(rawValue: $0)?.name ?? "a frame of type \($0)" }
    }

    /// Writes the next fragment of a large message, unless the burst is full or credit is short.
    mutating func writeFragment() -> FragmentQueue.Step? {
        guard !fragments.isIdle, output.byteCount < Self.burst else { return nil }
        return fragments.writeNext(to: &output, maxFrameSize: UInt32(peerFrameSize), connection: &sendWindow)
    }

    /// Hands out what is to be sent.
    mutating func takeOutput() -> ByteBuffer? {
        if isCongested { hasWithheldReads = true }
        return output.take()
    }

    mutating func writeGoodbye(_ closure: WireClosure, lastCall: UInt32) {
        let goodbye = GoodbyeFrame(
            code: closure.code, rule: closure.rule, lastCall: lastCall, reason: closure.reason)
        output.write { $0.writeGoodbye(goodbye) }
    }
}

// MARK: Frames of the connection

extension Link {
    mutating func receiveHello(_ hello: HelloFrame) throws(WireViolation) {
        guard peer == nil else { throw .connection(.protocolError, 13, "a second HELLO") }
        try hello.check(from: role == .server ? .client : .server)
        peer = hello
        sendWindow = SendWindow(hello.connectionCredit)
        keepalive.honour(minInterval: hello.minPingInterval)
    }

    mutating func receivePing(_ value: UInt64, now: WireInstant) throws(WireViolation) {
        try floods.ping(now)
        output.write { $0.writePong(value) }
    }

    /// Sends PING unless one is under way or the peer's minimum forbids it.
    mutating func ping(_ now: WireInstant) -> Bool {
        guard peer != nil, let value = keepalive.startPing(now) else { return false }
        output.write { $0.writePing(value) }
        return true
    }

    /// CREDIT for the connection.
    mutating func receiveConnectionCredit(_ bytes: UInt32) throws(WireViolation) {
        try sendWindow.grant(bytes)
    }

    /// What holds for every CREDIT, also for one whose call has ended and that is otherwise ignored.
    mutating func countCredit(_ bytes: UInt32, now: WireInstant) throws(WireViolation) {
        guard bytes > 0 else { throw .connection(.flowControl, 52, "a CREDIT of 0 bytes") }
        if bytes < WireLimits.smallCredit { try floods.smallCredit(now) }
    }

    /// Books the bytes of a MSG frame, whatever becomes of them, and fills the connection's window up again.
    mutating func receiveMessageBytes(_ count: Int) throws(WireViolation) {
        try receiveWindow.receive(count)
        if let credit = receiveWindow.replenish() { output.write { $0.writeCredit(nil, credit) } }
    }
}

// MARK: Time

extension Link {
    var nextTimeout: WireInstant {
        var due = peer == nil ? handshakeDue : keepalive.nextTimeout
        if let partialSince { due = min(due, partialSince.advanced(by: limits.frameTimeout)) }
        if let waiting = output.waitingSince { due = min(due, waiting.advanced(by: limits.writeTimeout)) }
        return due
    }

    /// - Throws: the timer that ran out, as a connection error.
    mutating func handleTimeout(_ now: WireInstant) throws(WireViolation) {
        output.noteTime(now)
        excuseSilence(now)
        if let partialSince, now >= partialSince.advanced(by: limits.frameTimeout) {
            throw .connection(.timeout, 131, "a frame took longer than \(limits.frameTimeout.milliseconds) ms")
        }
        if let waiting = output.waitingSince, now >= waiting.advanced(by: limits.writeTimeout) {
            throw .connection(.timeout, 132, "nothing was taken for \(limits.writeTimeout.milliseconds) ms")
        }
        guard peer != nil else { return try checkHandshake(now) }
        switch keepalive.handleTimeout(now) {
        case .wait: break
        case .ping(let value): output.write { $0.writePing(value) }
        case .dead:
            throw .connection(.timeout, 92, "no answer to a PING in \(limits.keepaliveTimeout.milliseconds) ms")
        }
    }

    /// While this side does not read, what it does not hear is no fault of the peer's (W-133).
    private mutating func excuseSilence(_ now: WireInstant) {
        guard isCongested || hasWithheldReads else { return }
        hasWithheldReads = false
        keepalive.heard(now)
        if partialSince != nil { partialSince = now }
    }

    private func checkHandshake(_ now: WireInstant) throws(WireViolation) {
        guard now < handshakeDue else {
            throw .connection(.timeout, 130, "no HELLO in \(limits.handshakeTimeout.milliseconds) ms")
        }
    }
}

/// The closure that a broken rule of the connection asks for.
extension WireClosure {
    init(_ violation: WireViolation, _ code: CloseCode) {
        self.init(origin: .local, code: code, rule: violation.rule, reason: violation.reason)
    }
}
