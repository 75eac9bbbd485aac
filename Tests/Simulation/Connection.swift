import NIOCore
import Testing
import WireCore

/// One connection of a world: both machines, the network between them, and the books of its calls.
final class Connection {
    let number: Int
    let limits: WireLimits
    var client: ClientConnection
    var server: ServerConnection
    var toServer = Pipe()
    var toClient = Pipe()
    private(set) var calls: [CallID: Call] = [:]
    /// Those that are not over.
    private var live: [Call] = []
    private(set) var clientClosure: WireClosure?
    private(set) var serverClosure: WireClosure?
    private var clientLedger = Ledger(.client)
    private var serverLedger = Ledger(.server)
    private var weather: Pipe.Weather

    init(_ number: Int, _ limits: WireLimits, _ weather: Pipe.Weather, now: WireInstant) throws {
        self.number = number
        self.limits = limits
        self.weather = weather
        client = try ClientConnection(limits: limits, now: now)
        server = try ServerConnection(limits: limits, requestLimits: [Call.narrow: 5000], acceptsStreams: true, now: now)
    }

    /// Both ends have said their last word.
    var isOver: Bool { clientClosure != nil && serverClosure != nil }
    var isOpen: Bool { clientClosure == nil && serverClosure == nil }

    /// The next instant at which something happens here by itself.
    var nextDue: WireInstant? {
        let arrivesAtServer = server.isCongested ? nil : toServer.nextDue
        let timers = [client.nextTimeout(), server.nextTimeout(), arrivesAtServer, toClient.nextDue]
        return timers.compactMap { $0 }.min()
    }

    /// Everything that is due: arrivals, timers, and what both sides have to say to it.
    func run(_ world: World) {
        for _ in 0..<10_000 where !step(world) { return checkSlots() }
        Issue.record("connection \(number) is never done")
    }

    func add(_ call: Call) {
        calls[call.id] = call
        live.append(call)
    }

    private func step(_ world: World) -> Bool {
        let now = world.now
        var moved = false
        if client.nextTimeout().map({ $0 <= now }) ?? false { client.handleTimeout(now: now); moved = true }
        if server.nextTimeout().map({ $0 <= now }) ?? false { server.handleTimeout(now: now); moved = true }
        if !server.isCongested, let bytes = toServer.receive(now: now) {
            serverLedger.received(bytes)
            server.receive(bytes, now: now)
            moved = true
        }
        if let bytes = toClient.receive(now: now) {
            clientLedger.received(bytes)
            client.receive(bytes, now: now)
            moved = true
        }
        if toServer.isOver { server.connectionClosed(now: now) }
        if toClient.isOver { client.connectionClosed(now: now) }
        if pull(world) { moved = true }
        return moved
    }

    /// Hands out events and takes what is to be sent, as a driver does.
    private func pull(_ world: World) -> Bool {
        var moved = pullEvents(world)
        while !toServer.isFull, let bytes = client.takeOutbound() {
            clientLedger.sent(bytes)
            toServer.send(bytes, weather, now: world.now, &world.chance)
            moved = true
        }
        while !toClient.isFull, let bytes = server.takeOutbound() {
            serverLedger.sent(bytes)
            toClient.send(bytes, weather, now: world.now, &world.chance)
            moved = true
        }
        if pullEvents(world) { moved = true }
        if clientClosure != nil, !toServer.isFull { toServer.end() }
        if serverClosure != nil, !toClient.isFull { toClient.end() }
        return moved
    }

    private func pullEvents(_ world: World) -> Bool {
        var moved = false
        while let event = client.nextEvent() {
            moved = true
            hear(event, world)
        }
        while let event = server.nextEvent() {
            moved = true
            hear(event, world)
        }
        return moved
    }

    private func hear(_ event: ClientConnection.Event, _ world: World) {
        #expect(clientClosure == nil, "connection \(number): \(event) behind the last event")
        switch event {
        case .message(let id, let message): calls[id]?.clientHears(message, world)
        case .writable(let id): calls[id]?.clientMaySend(world)
        case .ended(let id, let result): calls[id]?.ends(result)
        case .closed(let closure): clientClosure = closure
        case .established, .slotFreed, .draining, .idle, .pong: break
        }
    }

    private func hear(_ event: ServerConnection.Event, _ world: World) {
        #expect(serverClosure == nil, "connection \(number): \(event) behind the last event")
        switch event {
        case .call(let call): calls[call.id]?.serverHears(call, world)
        case .message(let id, let message): calls[id]?.serverHears(message, world)
        case .requestEnded(let id): calls[id]?.requestEnds(world)
        case .writable(let id): calls[id]?.serverMaySend(world)
        case .cancelled(let id), .expired(let id): calls[id]?.serverShouldStop(world)
        case .aborted(let id): calls[id]?.serverIsLetGo()
        case .closed(let closure): serverClosure = closure
        case .established, .pong, .drainAcknowledged: break
        }
    }

    private func checkSlots() {
        let (atClient, atServer) = (client.openCallCount, server.openCallCount)
        let most = Int(limits.maxConcurrentCalls)
        #expect(atClient <= most && atServer <= most, "connection \(number): \(atClient) and \(atServer) open calls")
        live.removeAll { $0.isOver }
        let long = live.reduce(0) { $0 + $1.longUntaken(beyond: limits.callCredit) }
        #expect(long <= 2 * Int(limits.maxReassembly), "connection \(number) holds \(long) bytes of long messages")
        for call in live { call.checkMemory(limits) }
    }

    /// Nothing is left of any call, and nobody broke a rule: only time and the network may end a connection.
    func checkEnd() {
        let (atClient, atServer) = (client.openCallCount, server.openCallCount)
        #expect(atClient == 0 && atServer == 0, "connection \(number): \(atClient) and \(atServer) calls are left")
        for closure in [clientClosure, serverClosure].compactMap({ $0 }) {
            let isHonest = closure.code == .none || closure.code == .timeout
            #expect(isHonest, "connection \(number): \(closure)")
        }
        for id in calls.keys.sorted() { calls[id]?.checkEnd() }
    }
}
