import NIOCore
import Testing

@testable import WireCore

/// Deadlines and cancellation, seen from both ends.
struct DeadlineTests {
    @Test func bothSidesEnforce() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        let id = try pair.start([1], within: .seconds(2))
        pair.drive()
        pair.wait(.milliseconds(1999))
        #expect(pair.results.isEmpty)
        pair.wait(.milliseconds(1))
        #expect(pair.result(id)?.status.code == WireStatusCode.deadlineExceeded)
        #expect(pair.result(id)?.origin == .local)
        #expect(pair.serverEvents.contains(.expired(id)) || pair.serverEvents.contains(.cancelled(id)))
        #expect(pair.openCallCounts[0] == 1, "the slot waits for STATUS")
        pair.answer(id, .succeed([1]))
        pair.drive()
        #expect(pair.openCallCounts[0] == 0)
        #expect(pair.results.count == 1)
    }

    @Test func remainingTimeTravels() throws {
        let client = try TestClient()
        try client.start(within: .milliseconds(1500))
        try client.start()
        let remaining = client.sent.compactMap { if case .call(_, let call) = $0 { call.remainingMicros } else { nil } }
        #expect(remaining == [1_500_000, CallFrame.noDeadline])
    }

    @Test(arguments: [1, 999_999, UInt64.max - 1, UInt64.max] as [UInt64])
    func extremeValuesNeitherTrapNorExpireEarly(_ remaining: UInt64) throws {
        let server = try TestServer()
        server.receive { $0.writeTestCall(1, remaining: remaining) }
        #expect(server.calls.count == 1)
        #expect((server.calls.first?.deadline == nil) == (remaining == .max))
        #expect(!server.events.contains(.expired(1)))
    }

    @Test("The contract ends a call whose own deadline is later or missing, not one whose deadline is earlier")
    func theContractLimitsACall() throws {
        let server = try TestServer()
        server.receive { output in
            output.writeTestCall(1)
            output.writeTestCall(2, remaining: 5_000_000)
            output.writeTestCall(3, remaining: 1_000_000)
        }
        for id in 1...3 as ClosedRange<UInt32> {
            server.connection.limit(CallID(rawValue: id), to: server.now.advanced(by: .seconds(2)))
        }
        server.connection.limit(9, to: server.now)
        server.wait(.seconds(1))
        #expect(server.expired == [3])
        server.wait(.seconds(1))
        #expect(Set(server.expired) == [1, 2, 3])
        server.wait(.seconds(60))
        #expect(server.expired.count == 3)
    }

    @Test("An answer that the client gives no credit for is not kept beyond the contract's limit")
    func anAnswerNobodyTakesIsDropped() throws {
        let server = try TestServer()
        server.receive { $0.writeTestCall(1) }
        server.connection.limit(1, to: server.now.advanced(by: .seconds(2)))
        server.connection.succeed(1, message: [UInt8](repeating: 0, count: 3 * 1024 * 1024))
        server.pull()
        #expect(server.statuses.isEmpty)
        // The client lives: only credit is missing.
        server.wait(.milliseconds(1999))
        #expect(server.statuses.isEmpty)
        server.wait(.milliseconds(1))
        #expect(server.statusTriples == [[1, WireStatusCode.deadlineExceeded, 2]])
    }

    @Test func justInTimeIsOK() throws {
        let server = try TestServer()
        server.receive { $0.writeTestCall(1, remaining: 1_000_000) }
        server.wait(.milliseconds(999))
        server.connection.succeed(1, message: [])
        server.pull()
        #expect(server.statusTriples == [[1, 0, 2]])
    }

    @Test func aThousandTimeoutsLeaveTheConnectionUsable() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        for _ in 0..<1000 { try pair.start([1], within: .seconds(1)) }
        pair.drive()
        pair.wait(.seconds(1))
        #expect(pair.results.count == 1000)
        for id in pair.open.keys { pair.answer(id, .fail(WireStatusCode.cancelled)) }
        pair.handler = { _ in .succeed([9]) }
        let id = try pair.start([1])
        pair.drive()
        #expect(pair.result(id)?.status.isOK == true)
        #expect(pair.openCallCounts[0] == 0)
    }

    @Test func cancelHoldsTheSlotSoRapidResetBuysNothing() throws {
        let pair = try Pair(server: .defaults { $0.maxConcurrentCalls = 10 })
        pair.handler = { _ in .keep }
        var refused = 0
        for _ in 0..<1000 {
            do throws(StartCallError) {
                let id = try pair.start([1])
                pair.client.cancel(id, now: pair.now)
            } catch {
                refused += 1
            }
            pair.drive()
        }
        #expect(pair.highestOpen == 10)
        #expect(refused == 990)
    }

    /// The same by a client that ignores the limit.
    @Test func hostileRapidResetIsRefusedThenClosed() throws {
        let server = try TestServer(.defaults { $0.maxConcurrentCalls = 10 })
        for id in 1...100_000 as ClosedRange<UInt32> where !server.isClosed {
            server.receive {
                $0.writeTestCall(CallID(rawValue: id))
                $0.writeCancel(CallID(rawValue: id))
            }
        }
        #expect(server.calls.count == 10)
        #expect(server.closure?.code == .flood)
    }

    @Test func cancelDropsTheRestOfALargeRequest() throws {
        let client = try TestClient(peer: .defaults { $0.callCredit = 16 * 1024 })
        let id = try client.start(String(repeating: "x", count: 300_000))
        client.cancel(id)
        #expect(client.resultTriples == [[1, WireStatusCode.cancelled, 0]], "half a request never ran")
        #expect(client.sent.last == .cancel(id))
        client.receive { $0.writeCredit(id, 65_536) }
        #expect(client.sent.last == .cancel(id))
    }

    @Test func requestThatNeverGetsWholeEndsByTheMessageTimer() throws {
        let server = try TestServer(.defaults { $0.keepaliveInterval = .seconds(3600) })
        server.receive { $0.writeTestCall(1, "a", length: 9, ends: false) }
        server.wait(.seconds(59))
        #expect(server.statuses.isEmpty)
        server.wait(.seconds(1))
        #expect(server.statusTriples == [[1, WireStatusCode.deadlineExceeded, 0]])
        server.receive { $0.writeTestFragment(1, 8, ends: true) }
        #expect(!server.isClosed, "what crossed STATUS is late, not wrong")
    }

    @Test func largeAnswerOfACancelledCallIsNotSent() throws {
        let server = try TestServer()
        server.receive {
            $0.writeTestCall(1)
            $0.writeCancel(1)
        }
        server.connection.succeed(1, message: [UInt8](repeating: 0, count: 1_000_000))
        server.pull()
        #expect(server.statusTriples == [[1, WireStatusCode.cancelled, 2]])
    }
}
