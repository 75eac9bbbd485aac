import NIOCore
import Testing

@testable public import WireCore

/// Frames as a script: `frames { $0.writePing(1) }`.
func frames(_ body: (inout ByteBuffer) -> Void) -> ByteBuffer {
    var buffer = ByteBuffer()
    body(&buffer)
    return buffer
}

/// All frames in some bytes.
func decodeAll(_ bytes: ByteBuffer, _ decoder: inout FrameDecoder) -> [Frame] {
    var found: [Frame] = []
    decoder.append(bytes)
    do {
        while let frame = try decoder.next() { found.append(frame) }
    } catch {
        Issue.record("what was sent does not decode: \(error)")
    }
    decoder.releaseConsumed()
    return found
}

func helloBytes(_ role: WireRole, _ limits: WireLimits = .defaults()) -> ByteBuffer {
    frames { $0.writeHello(HelloFrame(limits: limits, acceptsCalls: role == .server, fingerprints: [])) }
}

extension CallID: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt32) { self.init(rawValue: value) }
}

extension ByteBuffer {
    /// A unary CALL, whole or the start of one.
    mutating func writeTestCall(
        _ id: CallID, _ text: String = "hi", length: UInt32? = nil, ends: Bool = true,
        remaining: UInt64 = CallFrame.noDeadline, lane: UInt8 = 0
    ) {
        let fragment = ByteBuffer(string: text)
        let start = MessageStart(length: length ?? UInt32(fragment.readableBytes), fragment: fragment)
        let call = CallFrame(
            method: 1, remainingMicros: remaining, kind: 0, lane: lane, metadata: ByteBuffer(), message: start,
            endsRequest: ends)
        writeCall(id, call)
    }

    mutating func writeTestFragment(_ id: CallID, _ size: Int = 1, ends: Bool = false) {
        writeMessage(id, MessageFrame(content: .next(ByteBuffer(repeating: 7, count: size)), endsRequest: ends))
    }

    /// A CALL that streams; with one message where the kind has one.
    mutating func writeTestStream(_ id: CallID, _ kind: WireCallKind, remaining: UInt64 = CallFrame.noDeadline) {
        let message = MessageStart(length: 2, fragment: ByteBuffer(string: "hi"))
        let call = CallFrame(
            method: 1, remainingMicros: remaining, kind: kind.rawValue, lane: 0, metadata: ByteBuffer(),
            message: kind.clientStreams ? nil : message, endsRequest: !kind.clientStreams)
        writeCall(id, call)
    }

    mutating func writeTestWhole(_ id: CallID, _ size: Int) {
        writeTestStart(id, length: UInt32(size), size)
    }

    mutating func writeTestStart(_ id: CallID, length: UInt32, _ size: Int) {
        let start = MessageStart(length: length, fragment: ByteBuffer(repeating: 7, count: size))
        writeMessage(id, MessageFrame(content: .start(start), endsRequest: false))
    }
}

/// A server under test: what it was told, what it said.
final class TestServer {
    var connection: ServerConnection
    var now = WireInstant(nanoseconds: 1_000_000_000)
    var events: [ServerConnection.Event] = []
    var sent: [Frame] = []
    private var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)

    init(
        _ limits: WireLimits = .defaults(), peer: WireLimits? = .defaults(), requestLimits: [UInt32: UInt32] = [:],
        acceptsStreams: Bool = false
    ) throws {
        connection = try ServerConnection(
            limits: limits, requestLimits: requestLimits, acceptsStreams: acceptsStreams, now: now)
        if let peer { receive(helloBytes(.client, peer)) }
    }

    func receive(_ bytes: ByteBuffer) {
        connection.receive(bytes, now: now)
        pull()
    }

    func receive(_ body: (inout ByteBuffer) -> Void) { receive(frames(body)) }

    /// Lets time pass and runs the timers.
    func wait(_ duration: WireDuration) {
        now = now.advanced(by: duration)
        connection.handleTimeout(now: now)
        pull()
    }

    func drain() {
        connection.drain("test", now: now)
        pull()
    }

    func pull() {
        while let event = connection.nextEvent() { events.append(event) }
        while let bytes = connection.takeOutbound() { sent += decodeAll(bytes, &decoder) }
        while let event = connection.nextEvent() { events.append(event) }
    }

    // `#expect` cannot look into a value that is not copyable.
    var isClosed: Bool { connection.isClosed }
    var isCongested: Bool { connection.isCongested }

    var closure: WireClosure? {
        for case .closed(let closure) in events { return closure }
        return nil
    }
    var closedCount: Int { events.count { if case .closed = $0 { true } else { false } } }
    var calls: [IncomingCall] { events.compactMap { if case .call(let call) = $0 { call } else { nil } } }
    /// Messages of streams, oldest first.
    var messages: [MessageBody] { events.compactMap { if case .message(_, let bytes) = $0 { bytes } else { nil } } }
    var expired: [CallID] { events.compactMap { if case .expired(let id) = $0 { id } else { nil } } }
    var statuses: [(call: CallID, status: StatusFrame)] {
        sent.compactMap { if case .status(let id, let status) = $0 { (id, status) } else { nil } }
    }
    var goodbye: GoodbyeFrame? {
        for case .goodbye(let goodbye) in sent { return goodbye }
        return nil
    }
    /// `[call, code, processed]` of each STATUS.
    var statusTriples: [[UInt32]] {
        statuses.map { [$0.call.rawValue, $0.status.code, UInt32($0.status.processed.rawValue)] }
    }
}

/// A client under test.
final class TestClient {
    var connection: ClientConnection
    var now = WireInstant(nanoseconds: 1_000_000_000)
    var events: [ClientConnection.Event] = []
    var sent: [Frame] = []
    private var decoder = FrameDecoder(maxFrameSize: WireLimits.frameSizeBounds.upperBound)

    init(_ limits: WireLimits = .defaults(), peer: WireLimits? = .defaults(), first: CallID = 1) throws {
        connection = try ClientConnection(limits: limits, firstCallID: first, now: now)
        if let peer { receive(helloBytes(.server, peer)) }
    }

    func receive(_ bytes: ByteBuffer) {
        connection.receive(bytes, now: now)
        pull()
    }

    func receive(_ body: (inout ByteBuffer) -> Void) { receive(frames(body)) }

    func wait(_ duration: WireDuration) {
        now = now.advanced(by: duration)
        connection.handleTimeout(now: now)
        pull()
    }

    @discardableResult
    func start(
        _ message: String = "hi", kind: WireCallKind = .unary, within: WireDuration? = nil, limit: UInt32? = nil
    ) throws -> CallID {
        let call = OutgoingCall(
            method: 1, kind: kind, deadline: within.map { now.advanced(by: $0) }, message: ByteBuffer(string: message),
            responseLimit: limit)
        let id = try connection.startCall(call, now: now)
        pull()
        return id
    }

    /// Why a call does not start.
    func refusal(_ call: OutgoingCall = OutgoingCall(method: 1, message: ByteBuffer(string: "hi"))) -> StartCallError? {
        do throws(StartCallError) {
            _ = try connection.startCall(call, now: now)
            return nil
        } catch {
            return error
        }
    }

    func cancel(_ id: CallID) {
        connection.cancel(id, now: now)
        pull()
    }

    func pull() {
        while let event = connection.nextEvent() { events.append(event) }
        while let bytes = connection.takeOutbound() { sent += decodeAll(bytes, &decoder) }
    }

    func ping() -> Bool { connection.ping(now: now) }

    // `#expect` cannot look into a value that is not copyable.
    var isClosed: Bool { connection.isClosed }
    var isCongested: Bool { connection.isCongested }
    var canStartCall: Bool { connection.canStartCall }
    var openCallCount: Int { connection.openCallCount }

    var closure: WireClosure? {
        for case .closed(let closure) in events { return closure }
        return nil
    }
    var closedCount: Int { events.count { if case .closed = $0 { true } else { false } } }
    var results: [(call: CallID, result: CallResult)] {
        events.compactMap { if case .ended(let id, let result) = $0 { (id, result) } else { nil } }
    }
    /// Messages of streams, oldest first.
    var messages: [MessageBody] { events.compactMap { if case .message(_, let bytes) = $0 { bytes } else { nil } } }
    var resultTriples: [[UInt32]] {
        results.map { [$0.call.rawValue, $0.result.status.code, UInt32($0.result.status.processed.rawValue)] }
    }
    var goodbye: GoodbyeFrame? {
        for case .goodbye(let goodbye) in sent { return goodbye }
        return nil
    }
}

/// Bytes of a STATUS.
func statusBytes(_ id: CallID, _ code: UInt32 = 0, _ processed: WireStatus.Processed = .yes, _ message: String? = nil)
    -> ByteBuffer
{
    frames { output in
        let status = WireStatus(code: code, processed: processed)
        output.writeStatus(id, status, body: message.map { .bytes(Array($0.utf8)) })
    }
}

extension MessageBody {
    /// The memory that it keeps, in bytes.
    var storageCapacity: Int {
        switch self {
        case .bytes(let bytes): bytes.capacity
        case .buffer(let buffer): buffer.storageCapacity
        }
    }
}
