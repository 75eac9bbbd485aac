import NIOCore
import TestSupport
import Testing

@testable import WireCore

/// Random wishes of both applications on calls of all kinds, with random splits, time, drains and cuts.
struct StreamFuzzTests {
    @Test(arguments: 0..<80)
    func everyPromiseIsKept(_ round: Int) throws {
        var random = SeededRandom("everyPromiseIsKept \(round)")
        let play = try StreamPlay(round, &random)
        for _ in 0..<400 {
            play.act(&random)
            play.checkMemory()
        }
        if round % 2 == 0 { play.checkEndOfAll(&random) }
        switch round / 2 % 4 {
        case 0: play.pair.cut()
        case 1: play.pair.client.close("test", now: play.pair.now)
        case 2: play.pair.server.drain("test", grace: .seconds(1), now: play.pair.now)
        default: play.pair.server.close("test", now: play.pair.now)
        }
        play.pair.drive()
        play.pair.wait(.seconds(2))
        play.checkEnds()
    }
}

/// What one side of a call was given, and what it has taken of it.
private struct Inbox {
    var received = 0
    /// Lengths of the messages that were not taken.
    var untaken: [Int] = []
}

/// Two applications that do anything at any time, and a memory of what they were promised.
private final class StreamPlay {
    let pair: Pair
    private let limits: WireLimits
    private var kinds: [CallID: WireCallKind] = [:]
    /// Lengths of what was sent, in order.
    private var toServer: [CallID: [Int]] = [:]
    private var toClient: [CallID: [Int]] = [:]
    private var atServer: [CallID: Inbox] = [:]
    private var atClient: [CallID: Inbox] = [:]
    private var seen: Set<CallID> = []
    private var ended: Set<CallID> = []
    private var aborted: Set<CallID> = []

    init(_ round: Int, _ random: inout SeededRandom) throws {
        limits = .defaults { limits in
            limits.maxFrameSize = 16 * 1024
            limits.callCredit = 16 * 1024
            limits.connectionCredit = 32 * 1024
            limits.maxConcurrentCalls = 12
            limits.maxMessageSize = 80_000
            limits.maxReassembly = 150_000
        }
        pair = try Pair(client: limits, server: limits, acceptsStreams: true)
        pair.handler = { [unowned self] call in
            seen.insert(call.id)
            return .keep
        }
        var cuts = random
        if round % 3 == 0 { pair.split = { Int.random(in: 1...5000, using: &cuts) } }
        pair.onServer = { [unowned self] in heard($0) }
        pair.onClient = { [unowned self] in heard($0) }
    }

    private func heard(_ event: ServerConnection.Event) {
        switch event {
        case .message(let id, let message):
            #expect(pair.open[id] != nil, "a message for a handler that has answered")
            receive(message, toServer[id], &atServer[id, default: Inbox()])
        case .aborted(let id):
            #expect(aborted.insert(id).inserted, "a handler is let go once")
            let isOwed = pair.server.finish(id) || pair.server.succeed(id, message: [])
            #expect(!isOwed, "no answer is owed")
            atServer[id] = nil
        case .cancelled(let id), .expired(let id): atServer[id]?.untaken = []
        default: break
        }
    }

    private func heard(_ event: ClientConnection.Event) {
        switch event {
        case .message(let id, let message):
            #expect(!ended.contains(id), "a message after the end")
            receive(message, toClient[id], &atClient[id, default: Inbox()])
        case .writable(let id): #expect(!ended.contains(id))
        case .ended(let id, let result):
            #expect(ended.insert(id).inserted, "one end for each call")
            checkResult(id, result)
            atClient[id]?.untaken = []
        default: break
        }
    }

    private func receive(_ message: MessageBody, _ sent: [Int]?, _ inbox: inout Inbox) {
        let size = message.count
        #expect(sent.map { inbox.received < $0.count && $0[inbox.received] == size } == true, "whole and in order")
        inbox.received += 1
        inbox.untaken.append(size)
    }

    private func checkResult(_ id: CallID, _ result: CallResult) {
        if result.status.processed == .no { #expect(!seen.contains(id)) }
        guard result.status.isOK, let kind = kinds[id] else { return }
        #expect((result.message != nil) == !kind.serverStreams)
        guard kind.serverStreams else { return }
        #expect(atClient[id]?.received ?? 0 == toClient[id]?.count ?? 0, "OK: none is missing")
    }

    // MARK: Wishes

    func act(_ random: inout SeededRandom) {
        switch Int.random(in: 0...15, using: &random) {
        case 0, 1: start(&random)
        case 2...4: sendToServer(&random)
        case 5...7: sendToClient(&random)
        case 8: if let id = anyCall(&random) { takeAtServer(id) }
        case 9: if let id = anyCall(&random) { takeAtClient(id) }
        case 10: answer(&random)
        case 11: if let id = anyCall(&random) { pair.client.finishRequest(id) }
        case 12: if Int.random(in: 0...3, using: &random) == 0 { cancel(&random) }
        case 13: pair.wait(.milliseconds(UInt64.random(in: 0...10, using: &random)))
        case 14: _ = pair.exchange()
        default: pair.drive()
        }
    }

    private func anyCall(_ random: inout SeededRandom) -> CallID? {
        kinds.keys.sorted().suffix(16).randomElement(using: &random)
    }

    private func size(_ random: inout SeededRandom) -> Int {
        [0, 1, 1000, 8159, 16_352, 16_384, 20_000, 80_000].randomElement(using: &random) ?? 0
    }

    private func start(_ random: inout SeededRandom) {
        let kind = WireCallKind.allCases.randomElement(using: &random) ?? .unary
        let within = UInt64.random(in: 1...200, using: &random)
        let deadline = Bool.random(using: &random) ? pair.now.advanced(by: .milliseconds(within)) : nil
        let message = kind.clientStreams ? ByteBuffer() : ByteBuffer(repeating: 1, count: size(&random))
        let limit: UInt32? = Int.random(in: 0...5, using: &random) == 0 ? 10_000 : nil
        let call = OutgoingCall(
            method: 1, kind: kind, deadline: deadline, message: message, responseLimit: limit)
        if let id = try? pair.client.startCall(call, now: pair.now) { kinds[id] = kind }
    }

    private func sendToServer(_ random: inout SeededRandom) {
        guard let id = anyCall(&random) else { return }
        let message = ByteBuffer(repeating: 1, count: size(&random))
        if pair.client.send(id, message: message) != .ended { toServer[id, default: []].append(message.readableBytes) }
    }

    private func sendToClient(_ random: inout SeededRandom) {
        guard let id = anyCall(&random) else { return }
        let message = ByteBuffer(repeating: 1, count: size(&random))
        if pair.server.send(id, message: message) != .ended { toClient[id, default: []].append(message.readableBytes) }
    }

    private func takeAtServer(_ id: CallID) {
        guard atServer[id]?.untaken.isEmpty == false else { return }
        atServer[id]?.untaken.removeFirst()
        pair.server.take(id)
    }

    private func takeAtClient(_ id: CallID) {
        guard atClient[id]?.untaken.isEmpty == false else { return }
        atClient[id]?.untaken.removeFirst()
        pair.client.take(id)
    }

    private func answer(_ random: inout SeededRandom) {
        guard let id = pair.open.keys.sorted().randomElement(using: &random), let kind = kinds[id] else { return }
        let size = [1, 20_000, 70_000].randomElement(using: &random) ?? 1
        let good = kind.serverStreams ? Pair.Answer.finish : .succeed([UInt8](repeating: 2, count: size))
        pair.answer(id, Int.random(in: 0...3, using: &random) == 0 ? .fail(9) : good)
        atServer[id] = nil
    }

    private func cancel(_ random: inout SeededRandom) {
        if let id = anyCall(&random) { pair.client.cancel(id, now: pair.now) }
    }

    // MARK: Promises

    /// What an application has not taken is within its call's credit, or paid for by the reassembly budget.
    func checkMemory() {
        for boxes in [atServer, atClient] {
            var long = 0
            for (id, box) in boxes {
                let held = box.untaken.reduce(0) { $0 + $1 + 32 }
                let bound = max(Int(limits.callCredit), box.untaken.max() ?? 0) + 4096 + 32
                #expect(held <= bound, "call \(id) holds \(box.untaken)")
                long += box.untaken.filter { $0 > limits.callCredit }.reduce(0, +)
            }
            #expect(long <= limits.maxReassembly)
        }
    }

    /// Answers and takes until nothing is open: then nothing is left of any call on either side.
    func checkEndOfAll(_ random: inout SeededRandom) {
        for _ in 0..<500 where pair.openCallCounts != [0, 0] {
            for _ in pair.open { answer(&random) }
            for id in kinds.keys.sorted() {
                takeAtClient(id)
                pair.client.finishRequest(id)
            }
            pair.drive()
        }
        #expect(pair.openCallCounts == [0, 0])
        #expect(pair.server.streams.isEmpty && pair.server.requests.isEmpty)
        #expect(pair.client.streams.isEmpty && pair.client.responses.isEmpty)
        let full = ReassemblyBudget(limits.maxReassembly)
        #expect(pair.server.link.budget == full && pair.client.link.budget == full)
        for id in kinds.keys {
            #expect(!pair.server.link.fragments.holds(id) && !pair.client.link.fragments.holds(id))
        }
        #expect(pair.server.timers.first == nil && pair.client.timers.first == nil)
    }

    func checkEnds() {
        #expect(ended == Set(kinds.keys))
        #expect(pair.clientClosure != nil && pair.serverClosure != nil)
        #expect(pair.server.streams.isEmpty && pair.client.streams.isEmpty)
        let rules = [pair.clientClosure?.rule ?? 0, pair.serverClosure?.rule ?? 0]
        #expect(rules.allSatisfy { $0 == 0 || $0 == 104 }, "two correct ends break no rule")
    }
}
