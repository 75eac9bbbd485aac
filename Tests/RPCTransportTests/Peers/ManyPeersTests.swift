import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ManyPeersTests {
    private let named = MethodDescriptor.test("Named")

    private func naming(_ count: Int) -> ServerSet {
        ServerSet(count) { [named] index in [AsyncMethod(bytes: named) { _, _ in [UInt8(index)] }] }
    }

    @Test("Calls go to all servers of a list")
    func all() async throws {
        try await naming(3).withClient { client in
            var seen: Set<[UInt8]> = []
            try await until {
                seen.insert(try await client.call(named))
                return seen.count == 3
            }
            #expect(client.readyPeers == 3)
        }
    }

    @Test("A server that is slow to answer gets no more calls while the others have fewer")
    func slow() async throws {
        let held = Count()
        let release = Latch()
        let servers = ServerSet(3) { [named] index in
            [
                AsyncMethod(bytes: named) { request, _ in
                    guard index == 0 else { return request }
                    held.up()
                    await release.wait()
                    return request
                }
            ]
        }
        try await servers.withClient { client in
            // All are connected before what they take is counted.
            let first = Task { try await client.call(named) }
            try await until { client.readyPeers == 3 }
            let answered = Count()
            var calls = [first]
            for _ in 1...60 {
                let before = answered.now + held.now
                calls.append(
                    Task { [named] in
                        let answer = try await client.call(named, [1])
                        answered.up()
                        return answer
                    })
                try await until { answered.now + held.now > before }
            }
            #expect((1...3).contains(held.now))
            release.open()
            for call in calls { _ = try await call.value }
        }
    }

    @Test("A server that is not there costs no call")
    func dead() async throws {
        let servers = naming(3)
        try await servers.withClient { client in
            try await servers.stop(1)
            for _ in 0..<50 {
                let answer = try await client.call(named)
                #expect(answer != [1])
            }
        }
    }

    @Test("Where none is there, the error names each and what is wrong")
    func allDead() async throws {
        let servers = naming(2)
        try await servers.withClient { client in
            try await servers.stop(0)
            try await servers.stop(1)
            let error = try await client.failure(named, timeout: .seconds(2))
            #expect(error.code == .unavailable && error.processed == .no)
            for address in servers.addresses {
                #expect(error.timeline.waitedFor?.contains("\(address) connection refused") == true, "\(error)")
            }
        }
    }

    @Test("A client may not want to wait at all, and a call may want to all the same")
    func waitForReady() async throws {
        let servers = naming(2)
        try await servers.withClient({ $0.waitForReady = false }) { client in
            try await servers.stop(0)
            try await servers.stop(1)
            let error = try await client.failure(named, timeout: .seconds(50))
            #expect(error.reason == "no_connection")
            let patient = Task { try await client.call(named) { $0.waitForReady = true } }
            try await until { client.waitingCalls != 0 }
            try await servers.start(1)
            let answer = try await patient.value
            #expect(answer == [1])
        }
    }

    @Test("One that fails while others do not is left alone, and comes back by a probe that goes well")
    func ejection() async throws {
        let isIll = Atomic(true)
        let servers = ServerSet(3) { [named] index in
            [
                AsyncMethod(bytes: named) { request, _ in
                    if index == 0, isIll.load(ordering: .relaxed) { throw RPCError(.internal, "ill") }
                    return [UInt8(index)]
                }
            ]
        }
        try await servers.withClient({ $0.outliers.ejection = .milliseconds(100) }) { client in
            try await until {
                _ = try? await client.call(named)
                return client.ejectedPeers == 1
            }
            isIll.store(false, ordering: .relaxed)
            try await until {
                _ = try? await client.call(named)
                return client.ejectedPeers == 0
            }
            try await until { try await client.call(named) == [0] }
        }
    }

    @Test("While it is out of use, no call goes there")
    func ejected() async throws {
        let failures = Count()
        let servers = ServerSet(2) { [named] index in
            [
                AsyncMethod(bytes: named) { request, _ in
                    guard index == 0 else { return request }
                    failures.up()
                    throw RPCError(.internal, "ill")
                }
            ]
        }
        try await servers.withClient({ $0.outliers.ejection = .seconds(60) }) { client in
            // While the other is not connected yet, the ill one is better than none.
            _ = try? await client.call(named)
            try await until { client.readyPeers == 2 }
            try await until {
                _ = try? await client.call(named)
                return client.ejectedPeers == 1
            }
            for _ in 0..<100 { _ = try await client.call(named) }
            #expect(failures.now == 5)
            // Better that one than none.
            try await servers.stop(1)
            try await until { client.readyPeers == 1 }
            let error = try await client.failure(named)
            #expect(error.code == .internal)
        }
    }

    @Test("A NACK of one server is answered by another, which hears that it is the second attempt")
    func elsewhere() async throws {
        let isFirst = Atomic(true)
        let attempts = Mutex<[Int: Int]>([:])
        let method = MethodDescriptor.test("Moved", idempotency: .idempotent)
        let servers = ServerSet(2) { index in
            [
                AsyncMethod(bytes: method) { request, context in
                    attempts.withLock { $0[index] = context.attempt }
                    if isFirst.exchange(false, ordering: .relaxed) { throw RPCError(.unavailable, "not here") }
                    return request
                }
            ]
        }
        try await servers.withClient { client in
            _ = try? await client.call(AsyncMethod.echoDescriptor)
            try await until { client.readyPeers == 2 }
            let answer = try await client.call(method, [3])
            #expect(answer == [3])
        }
        #expect(attempts.withLock { $0.values.sorted() } == [1, 2])
    }
}
