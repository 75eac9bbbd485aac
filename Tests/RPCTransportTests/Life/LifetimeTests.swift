import RPCClient
import RPCCore
@testable import RPCTransport
import Synchronization
import TestSupport
import Testing
import WireCore

/// Age and idleness end connections, and no call notices.
@Suite(.timeLimit(.minutes(1)))
struct ConnectionLifetimeTests {
    private static let down = MethodDescriptor.test("Down", kind: .serverStreaming)
    private static let endless = AsyncMethod(streaming: down) { parts, _ in
        while true { try await parts.responses.write([1]) }
    }

    @Test("Old connections are replaced under load, and no call fails")
    func ageUnderLoad() async throws {
        var options = ServerOptions()
        options.limits.maxAge = .milliseconds(150)
        let observer = RecordingObserver()
        try await withServer([.echo], observer: observer, options: options) { _, address in
            try await withClient(address, { $0.connections = 2 }) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<8 as Range<UInt8> {
                        group.addTask {
                            while observer.all.closed.count < 6 {
                                let answer = try await client.call(AsyncMethod.echoDescriptor, [worker])
                                #expect(answer == [worker])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let reasons = Set(observer.all.closed.map { $0.reason })
                #expect(reasons == ["drained"])
            }
        }
    }

    @Test("A stream that never ends ends with its connection's age and grace; the server goes on")
    func endlessStream() async throws {
        var options = ServerOptions()
        options.limits.maxAge = .milliseconds(50)
        options.limits.drainGrace = .milliseconds(50)
        try await withServer([.echo, Self.endless], options: options) { server, address in
            try await withClient(address) { client in
                let stream = try client.open(Self.down, request: [], options: CallOptions())
                let error = await #expect(throws: RPCError.self) {
                    while try await stream.responses.next() != nil {}
                }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("grace is over") == true)
                #expect(try await client.call(AsyncMethod.echoDescriptor, [1]) == [1])
                try await until { server.openCalls == 0 }
            }
        }
    }

    @Test("A client ends a connection that it does not use, and opens another for the next call")
    func idleClient() async throws {
        let observer = RecordingObserver()
        try await withServer([.echo], observer: observer) { server, address in
            try await withClient(
                address,
                { options in
                    options.connections = 3
                    options.limits.idleTimeout = .milliseconds(40)
                }
            ) { client in
                for round in 1...3 as ClosedRange<UInt8> {
                    #expect(try await client.call(AsyncMethod.echoDescriptor, [round]) == [round])
                    // Whether one of the three was still on its way or not: in the end there is none.
                    try await until { client.readyConnections == 0 && server.connectionCount == 0 }
                }
                let reasons = Set(observer.all.closed.map { $0.reason })
                #expect(reasons == ["drained"])
            }
            try await until { server.connectionCount == 0 }
        }
    }

    @Test("A server ends a connection that nobody uses; the next call does not notice")
    func idleServer() async throws {
        var options = ServerOptions()
        options.limits.idleTimeout = .milliseconds(40)
        let observer = RecordingObserver()
        try await withServer([.echo], observer: observer, options: options) { server, address in
            try await withClient(address) { client in
                for round in 1...3 as ClosedRange<UInt8> {
                    #expect(try await client.call(AsyncMethod.echoDescriptor, [round]) == [round])
                    try await until { observer.all.closed.count == Int(round) }
                }
            }
        }
    }

    @Test("Ages differ by up to a tenth either way; what is not set stays so")
    func jitter() {
        var random = SeededRandom()
        var limits = WireLimits.defaults()
        #expect(limits.varied(using: &random) == limits)
        limits.maxAge = .seconds(1000)
        limits.idleTimeout = .seconds(100)
        let varied = (0..<200).map { _ in limits.varied(using: &random) }
        let ages = varied.compactMap { $0.maxAge?.milliseconds }
        #expect(ages.allSatisfy { (900_000...1_100_000).contains($0) }, "seed \(random.seed)")
        #expect(ages.contains { $0 < 950_000 } && ages.contains { $0 > 1_050_000 }, "seed \(random.seed)")
        let idle = varied.compactMap { $0.idleTimeout?.milliseconds }
        #expect(Set(idle).count > 100 && idle.allSatisfy { (90_000...110_000).contains($0) }, "seed \(random.seed)")
        limits.maxAge = WireDuration(nanoseconds: .max)
        #expect(limits.varied(using: &random).maxAge ?? .zero > .seconds(1_000_000))
    }
}
