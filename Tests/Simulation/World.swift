import NIOCore
import Testing
import WireCore

/// Clients, servers, a network that is not to be trusted, and time that passes only when nothing is left to do.
///
/// All chance comes from the seed: the same seed is the same run, event by event.
final class World {
    var chance: Chance
    private(set) var now = WireInstant(nanoseconds: 5_000_000_000)
    private(set) var connections: [Connection] = []
    /// Those that are not over.
    private var active: [Connection] = []
    private(set) var startedCalls = 0
    private(set) var outcomes: [UInt32: Int] = [:]
    private var agenda = Agenda()
    private var limits: WireLimits
    private let weather: Pipe.Weather
    private let width: Int
    private let isCalm: Bool
    /// No new calls and no more trouble: what is under way comes to its end.
    private var isEnding = false
    /// A step in time that nothing caused would be a run without end.
    private(set) var steps = 0

    init(seed: UInt64) throws {
        chance = Chance(seed: seed)
        let isNarrow = chance.once(in: 2)
        width = 1 + chance.below(3)
        isCalm = chance.once(in: 4)
        weather = Pipe.Weather(
            latency: .microseconds(UInt64(chance.pick([50, 500, 5000, 40_000]))),
            jitterMicros: chance.pick([0, 100, 10_000]), piece: chance.pick([300, 1500, 16_000, 70_000]))
        limits = .defaults { limits in
            limits.drainGrace = .seconds(1)
            guard isNarrow else { return }
            limits.maxFrameSize = 16 * 1024
            limits.callCredit = 16 * 1024
            limits.connectionCredit = 48 * 1024
            limits.maxConcurrentCalls = 6
            limits.maxMessageSize = 100_000
            limits.maxReassembly = 200_000
            limits.streamBuffer = 24 * 1024
        }
        for _ in 0..<width { try connect() }
        at(.zero) { $0.callAgain() }
        if !isCalm { at(.milliseconds(100)) { $0.makeTrouble() } }
    }

    func after(_ delay: WireDuration, _ action: @escaping (World) -> Void) { agenda.add(now.advanced(by: delay), action) }

    private func at(_ delay: WireDuration, _ action: @escaping (World) -> Void) { after(delay, action) }

    private func connect() throws {
        let connection = try Connection(connections.count, limits, weather, now: now)
        connections.append(connection)
        active.append(connection)
    }

    // MARK: Time

    /// Lets so much time pass, then brings everything to its end and looks at what is left.
    func live(for duration: WireDuration) throws {
        try pass(until: now.advanced(by: duration))
        isEnding = true
        for connection in active { connection.server.drain("the end", now: now) }
        try pass(until: now.advanced(by: .seconds(300)))
        for connection in connections {
            #expect(connection.isOver, "connection \(connection.number) does not end")
            connection.checkEnd()
            for id in connection.calls.keys.sorted() {
                if let code = connection.calls[id]?.result?.status.code { outcomes[code, default: 0] += 1 }
            }
        }
    }

    private func pass(until end: WireInstant) throws {
        while let next = nextDue, next <= end {
            steps += 1
            now = max(now, next)
            while let action = agenda.popDue(now) { action(self) }
            for connection in active { connection.run(self) }
            active.removeAll { $0.isOver }
            try replaceEnded()
        }
        now = max(now, end)
    }

    private var nextDue: WireInstant? {
        (active.compactMap(\.nextDue) + [agenda.nextDue].compactMap { $0 }).min()
    }

    private func replaceEnded() throws {
        guard !isEnding, connections.count < 400 else { return }
        let open = active.count { $0.isOpen }
        for _ in min(open, width)..<width { try connect() }
    }

    // MARK: What happens

    private func callAgain() {
        guard !isEnding else { return }
        startCall()
        after(.microseconds(UInt64(chance.pick([100, 2000, 20_000])))) { $0.callAgain() }
    }

    private func startCall() {
        let open = active.filter { $0.isOpen && $0.client.canStartCall }
        guard !open.isEmpty else { return }
        let connection = chance.pick(open)
        let kind = chance.pick(WireCallKind.allCases)
        let plan = plan(kind)
        let isShort = kind.clientStreams || plan.requestSizes[0] <= 5000
        let deadline = chance.once(in: 2) ? now.advanced(by: .milliseconds(UInt64(1 + chance.below(3000)))) : nil
        let first = kind.clientStreams ? 0 : plan.requestSizes[0]
        let body = ByteBuffer(repeating: UInt8(truncatingIfNeeded: connection.nextID * 31), count: first)
        let call = OutgoingCall(
            method: isShort && !kind.clientStreams ? Call.narrow : 1, kind: kind, deadline: deadline, message: body)
        guard let id = try? connection.client.startCall(call, now: now) else { return }
        startedCalls += 1
        let book = Call(id, kind, plan, on: connection)
        connection.add(book)
        book.clientMaySend(self)
        guard chance.once(in: 6) else { return }
        after(.microseconds(UInt64(chance.below(200_000)))) { world in connection.client.cancel(id, now: world.now) }
    }

    private func plan(_ kind: WireCallKind) -> Call.Plan {
        func sizes(_ streams: Bool) -> [Int] {
            (0..<(streams ? chance.below(12) : 1)).map { _ in
                chance.pick([0, 1, 900, 5000, 16_352, 20_000, 60_000, 99_000])
            }
        }
        return Call.Plan(
            requestSizes: sizes(kind.clientStreams), responseSizes: sizes(kind.serverStreams),
            thinking: .microseconds(UInt64(chance.pick([0, 500, 20_000, 800_000]))),
            reading: .microseconds(UInt64(chance.pick([0, 100, 30_000, 300_000]))),
            fails: chance.once(in: 8), isStubborn: chance.once(in: 4))
    }

    private func makeTrouble() {
        guard !isEnding else { return }
        let open = active.filter { $0.isOpen }
        if !open.isEmpty { trouble(chance.pick(open)) }
        after(.milliseconds(UInt64(chance.pick([50, 500, 2000])))) { $0.makeTrouble() }
    }

    private func trouble(_ connection: Connection) {
        let stall = now.advanced(by: .milliseconds(UInt64(chance.pick([5, 200, 3000, 20_000]))))
        switch chance.below(8) {
        case 0: connection.toServer.stall(until: stall)
        case 1: connection.toClient.stall(until: stall)
        case 2:
            connection.toServer.cut()
            connection.toClient.cut()
        case 3: connection.server.drain("drill", grace: .milliseconds(UInt64(1 + chance.below(2000))), now: now)
        case 4: connection.client.drain(now: now)
        case 5: connection.client.close("drill", now: now)
        case 6: connection.server.close("drill", now: now)
        default: _ = connection.client.ping(now: now)
        }
    }
}

extension Connection {
    /// The id that the next call will have.
    fileprivate var nextID: Int { calls.count + 1 }
}
