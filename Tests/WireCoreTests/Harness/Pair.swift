import NIOCore
import Testing

@testable import WireCore

/// A client and a server joined in memory, with virtual time and a bounded drive.
///
/// The handler is a function from a call to what becomes of it; calls it keeps stay open until `answer`.
final class Pair {
    var client: ClientConnection
    var server: ServerConnection
    var now = WireInstant(nanoseconds: 5_000_000_000)
    /// Bytes of each delivery; nil: all that is there.
    var split: (() -> Int)?
    var handler: (IncomingCall) -> Answer = { .succeed($0.message.array) }
    private(set) var clientEvents: [ClientConnection.Event] = []
    private(set) var serverEvents: [ServerConnection.Event] = []
    /// Sees each event of a side as it comes.
    var onServer: (ServerConnection.Event) -> Void = { _ in }
    var onClient: (ClientConnection.Event) -> Void = { _ in }
    private(set) var open: [CallID: IncomingCall] = [:]
    private(set) var highestOpen = 0
    private var toServer = ByteBuffer()
    private var toClient = ByteBuffer()

    enum Answer {
        case succeed([UInt8])
        case finish
        case fail(UInt32)
        case keep
    }

    init(
        client clientLimits: WireLimits = .defaults(), server serverLimits: WireLimits = .defaults(), first: CallID = 1,
        acceptsStreams: Bool = false
    ) throws {
        client = try ClientConnection(limits: clientLimits, firstCallID: first, now: now)
        server = try ServerConnection(limits: serverLimits, acceptsStreams: acceptsStreams, now: now)
        drive()
    }

    /// Carries bytes until both sides are silent. A pair that never is, is a defect.
    func drive(steps: Int = 20_000) {
        for _ in 0..<steps where !exchange() { return }
        Issue.record("the pair is still busy after \(steps) steps")
    }

    /// One exchange; false when nothing moved.
    func exchange() -> Bool {
        pullEvents()
        while let bytes = client.takeOutbound() { toServer.writeImmutableBuffer(bytes) }
        while let bytes = server.takeOutbound() { toClient.writeImmutableBuffer(bytes) }
        let moved = toServer.readableBytes + toClient.readableBytes > 0
        if let bytes = next(&toServer) { server.receive(bytes, now: now) }
        if let bytes = next(&toClient) { client.receive(bytes, now: now) }
        pullEvents()
        return moved
    }

    private func next(_ queue: inout ByteBuffer) -> ByteBuffer? {
        guard queue.readableBytes > 0 else { return nil }
        let size = min(split?() ?? queue.readableBytes, queue.readableBytes)
        let bytes = queue.readSlice(length: max(size, 1)).map { ByteBuffer(bytes: $0.readableBytesView) }
        if queue.readableBytes == 0 { queue.clear() }
        return bytes
    }

    private func pullEvents() {
        while let event = server.nextEvent() {
            serverEvents.append(event)
            onServer(event)
            if case .call(let call) = event { run(call) }
            if case .aborted(let id) = event { open[id] = nil }
        }
        while let event = client.nextEvent() {
            clientEvents.append(event)
            onClient(event)
        }
    }

    private func run(_ call: IncomingCall) {
        open[call.id] = call
        highestOpen = max(highestOpen, open.count)
        answer(call.id, handler(call))
    }

    func answer(_ id: CallID, _ answer: Answer) {
        switch answer {
        case .succeed(let bytes): server.succeed(id, message: bytes)
        case .finish: server.finish(id)
        case .fail(let code): server.fail(id, with: WireStatus(code: code, processed: .yes))
        case .keep: return
        }
        open[id] = nil
    }

    /// Jumps from timer to timer until `duration` is over.
    func wait(_ duration: WireDuration) {
        let end = now.advanced(by: duration)
        for _ in 0..<10_000 {
            let due = [client.nextTimeout(), server.nextTimeout()].compactMap { $0 }.min() ?? end
            guard due <= end else { break }
            now = max(now, due)
            client.handleTimeout(now: now)
            server.handleTimeout(now: now)
            drive()
        }
        now = end
    }

    @discardableResult
    func start(
        _ message: [UInt8], kind: WireCallKind = .unary, within: WireDuration? = nil
    ) throws(StartCallError) -> CallID {
        let deadline = within.map { now.advanced(by: $0) }
        let call = OutgoingCall(method: 1, kind: kind, deadline: deadline, message: ByteBuffer(bytes: message))
        return try client.startCall(call, now: now)
    }

    /// The transport breaks: what is under way is lost.
    func cut() {
        toServer.clear()
        toClient.clear()
        client.connectionClosed(now: now)
        server.connectionClosed(now: now)
        pullEvents()
    }

    /// Slots taken at the client and at the server.
    var openCallCounts: [Int] { [client.openCallCount, server.openCallCount] }
    var results: [(call: CallID, result: CallResult)] {
        clientEvents.compactMap { if case .ended(let id, let result) = $0 { (id, result) } else { nil } }
    }
    func result(_ id: CallID) -> CallResult? { results.first { $0.call == id }?.result }
    var clientClosure: WireClosure? {
        for case .closed(let closure) in clientEvents { return closure }
        return nil
    }
    var serverClosure: WireClosure? {
        for case .closed(let closure) in serverEvents { return closure }
        return nil
    }
}
