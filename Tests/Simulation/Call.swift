import NIOCore
import Testing
import WireCore

/// One call of a world: what both applications want of it, and what they were promised.
final class Call {
    /// A method whose requests are short by contract.
    static let narrow: UInt32 = 2

    let id: CallID
    let kind: WireCallKind
    let plan: Plan
    private unowned let connection: Connection
    // What has become of it.
    private(set) var result: CallResult?
    private var wasDispatched = false
    private var isOwed = false
    private var wasCancelled = false
    // Streams, by the lengths of their messages.
    private var sentByClient: [Int] = []
    private var sentByServer: [Int] = []
    private var atServer = Inbox()
    private var atClient = Inbox()
    private var requestHasEnded = false

    /// What the applications do, drawn when the call starts.
    struct Plan {
        var requestSizes: [Int]
        var responseSizes: [Int]
        /// How long the handler thinks, and how long each reader takes over a message.
        var thinking: WireDuration
        var reading: WireDuration
        var fails: Bool
        /// The handler goes on although it was told to stop, until it is done thinking.
        var isStubborn: Bool
    }

    private struct Inbox {
        var received = 0
        var untaken: [Int] = []
        /// A reader is at work on the oldest message.
        var isReading = false
    }

    init(_ id: CallID, _ kind: WireCallKind, _ plan: Plan, on connection: Connection) {
        self.id = id
        self.kind = kind
        self.plan = plan
        self.connection = connection
    }

    var isOver: Bool { result != nil && !isOwed }

    // MARK: The client's application

    func clientMaySend(_ world: World) {
        guard kind.clientStreams, result == nil else { return }
        while sentByClient.count < plan.requestSizes.count {
            let size = plan.requestSizes[sentByClient.count]
            switch connection.client.send(id, message: body(size, sentByClient.count)) {
            case .taken: sentByClient.append(size)
            case .full:
                sentByClient.append(size)
                return
            case .ended, .tooLarge: return
            }
        }
        connection.client.finishRequest(id)
    }

    func clientHears(_ message: MessageBody, _ world: World) {
        #expect(result == nil && kind.serverStreams, "\(name): a message, not now")
        check(message, atClient.received, of: sentByServer)
        atClient.received += 1
        atClient.untaken.append(message.count)
        readAtClient(world)
    }

    private func readAtClient(_ world: World) {
        guard !atClient.isReading, !atClient.untaken.isEmpty else { return }
        atClient.isReading = true
        world.after(plan.reading) { [self] world in
            atClient.isReading = false
            guard !atClient.untaken.isEmpty else { return }
            atClient.untaken.removeFirst()
            connection.client.take(id)
            readAtClient(world)
        }
    }

    func ends(_ result: CallResult) {
        #expect(self.result == nil, "\(name) ends twice")
        self.result = result
        atClient.untaken = []
        #expect(result.status.processed != .no || !wasDispatched, "\(name) ran, and is said not to have")
        guard result.status.isOK else { return }
        #expect((result.message != nil) == !kind.serverStreams, "\(name): OK")
        if kind.serverStreams { #expect(atClient.received == plan.responseSizes.count, "\(name): OK, and not whole") }
        if let message = result.message { #expect(message == .buffer(body(plan.responseSizes.first ?? 0, 0)), "\(name): altered") }
    }

    // MARK: The server's handler

    func serverHears(_ call: IncomingCall, _ world: World) {
        #expect(!wasDispatched, "\(name) is dispatched twice")
        (wasDispatched, isOwed) = (true, true)
        #expect(result?.status.processed != .no, "\(name) runs, and was said not to have")
        #expect(call.kind == kind)
        guard !kind.clientStreams else { return requestless(world) }
        #expect(call.message == .buffer(body(plan.requestSizes.first ?? 0, 0)), "\(name): its request is altered")
        think(world)
    }

    /// Half of the handlers answer a client's stream before its end, when their time has come.
    private func requestless(_ world: World) {
        if plan.isStubborn { think(world) }
    }

    func serverHears(_ message: MessageBody, _ world: World) {
        #expect(isOwed && kind.clientStreams && !wasCancelled, "\(name): a message for its handler, not now")
        check(message, atServer.received, of: sentByClient)
        atServer.received += 1
        atServer.untaken.append(message.count)
        readAtServer(world)
    }

    private func readAtServer(_ world: World) {
        guard !atServer.isReading, !atServer.untaken.isEmpty else { return }
        atServer.isReading = true
        world.after(plan.reading) { [self] world in
            atServer.isReading = false
            guard !atServer.untaken.isEmpty else { return }
            atServer.untaken.removeFirst()
            connection.server.take(id)
            readAtServer(world)
        }
    }

    func requestEnds(_ world: World) {
        #expect(isOwed && !requestHasEnded, "\(name): its request ends, not now")
        requestHasEnded = true
        #expect(atServer.received == plan.requestSizes.count, "\(name): its request ends and is not whole")
        if !plan.isStubborn { think(world) }
    }

    private func think(_ world: World) {
        world.after(plan.thinking) { [self] world in
            guard isOwed else { return }
            if plan.fails || wasCancelled { answer { connection.server.fail(id, with: Self.failure) } }
            else if kind.serverStreams { serverMaySend(world) }
            else { answer { connection.server.succeed(id, message: .buffer(body(plan.responseSizes.first ?? 0, 0))) } }
        }
    }

    func serverMaySend(_ world: World) {
        guard isOwed, kind.serverStreams else { return }
        while sentByServer.count < plan.responseSizes.count {
            let size = plan.responseSizes[sentByServer.count]
            switch connection.server.send(id, message: body(size, sentByServer.count)) {
            case .taken: sentByServer.append(size)
            case .full:
                sentByServer.append(size)
                return
            case .ended, .tooLarge: return answer { connection.server.fail(id, with: Self.failure) }
            }
        }
        answer { connection.server.finish(id) }
    }

    func serverShouldStop(_ world: World) {
        #expect(isOwed, "\(name) is told to stop, and nothing runs")
        wasCancelled = true
        atServer.untaken = []
        guard !plan.isStubborn else { return think(world) }
        world.after(.milliseconds(1)) { [self] _ in
            if isOwed { answer { connection.server.fail(id, with: Self.failure) } }
        }
    }

    func serverIsLetGo() {
        #expect(isOwed, "\(name) is let go, and nothing runs")
        isOwed = false
        atServer.untaken = []
    }

    private func answer(_ give: () -> Bool) {
        isOwed = false
        atServer.untaken = []
        let isTaken = give()
        #expect(isTaken, "\(name): its answer is not taken")
    }

    private static let failure = WireStatus(code: WireStatusCode.aborted, message: "failed", processed: .yes)

    // MARK: Promises

    private var name: String { "call \(connection.number)/\(id) (\(kind))" }

    /// A message whose bytes tell which one it is.
    private func body(_ size: Int, _ index: Int) -> ByteBuffer {
        ByteBuffer(repeating: UInt8(truncatingIfNeeded: Int(id.rawValue) * 31 + index), count: size)
    }

    private func check(_ message: MessageBody, _ index: Int, of sent: [Int]) {
        guard index < sent.count else { return #expect(Bool(false), "\(name): message \(index) was never sent") }
        #expect(message == .buffer(body(sent[index], index)), "\(name): message \(index) is altered or out of order")
    }

    /// What an application has not taken is within its call's credit, or one message that is longer.
    func checkMemory(_ limits: WireLimits) {
        for untaken in [atServer.untaken, atClient.untaken] {
            let held = untaken.reduce(0) { $0 + $1 + Int(WireLimits.streamMessageCost) }
            let slack = Int(WireLimits.smallCredit) + Int(WireLimits.streamMessageCost)
            let bound = max(Int(limits.callCredit), untaken.max() ?? 0) + slack
            #expect(held <= bound, "\(name) holds \(held) bytes, \(bound) at most")
        }
    }

    func longUntaken(beyond size: UInt32) -> Int {
        (atServer.untaken + atClient.untaken).filter { $0 > size }.reduce(0, +)
    }

    func checkEnd() {
        #expect(result != nil, "\(name) has no result")
        #expect(!isOwed, "\(name): its handler still owes an answer")
    }
}
