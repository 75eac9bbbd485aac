import Foundation
import NIOPosix
@testable import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ResolverTests {
    private let named = MethodDescriptor.test("Named")

    /// A place whose looks a test writes beforehand; the last one goes on.
    private struct WrittenSource: AddressSource {
        var looks: [Result<[HostPort]?, ResolverError>]
        let count: Counter
        var description: String { "test:///written" }

        mutating func look() throws(ResolverError) -> [HostPort]? {
            count.value.wrappingAdd(1, ordering: .relaxed)
            return try (looks.count > 1 ? looks.removeFirst() : looks[0]).get()
        }
    }

    private final class Counter: Sendable {
        let value = Atomic(0)
    }

    private func resolver(
        _ looks: [Result<[HostPort]?, ResolverError>], count: Counter = Counter(), interval: Duration = .milliseconds(2)
    ) -> PollingResolver {
        PollingResolver(
            WrittenSource(looks: looks, count: count), on: FileSource.threads,
            schedule: ResolutionSchedule(interval: interval, pause: .milliseconds(1)))
    }

    private func naming(_ count: Int) -> ServerSet {
        ServerSet(count) { [named] index in [AsyncMethod(bytes: named) { _, _ in [UInt8(index)] }] }
    }

    @Test("A name's addresses are found by the system's resolver")
    func dns() throws {
        let found = try DNSSource(name: HostPort(host: "127.0.0.1", port: 7)).look()
        #expect(found == [HostPort(host: "127.0.0.1", port: 7)])
        #expect(throws: ResolverError.self) {
            try DNSSource(name: HostPort(host: String(repeating: "a", count: 300), port: 7)).look()
        }
    }

    @Test("A call by name reaches the server")
    func callByName() async throws {
        try await withServer([AsyncMethod(bytes: named) { _, _ in [7] }]) { _, address in
            let client = try ClientPool(
                service: "auth", resolver: .dns(HostPort(host: "localhost", port: address.port)),
                tls: try TestCertificates.shared.get().identity("gateway"), options: ClientOptions(connections: 1))
            let answer = try await client.call(named)
            #expect(answer == [7])
            #expect(client.target == "auth at dns:///localhost:\(address.port)")
            await client.shutdown()
        }
    }

    @Test("Nobody looks before the first call, and a call waits for what is found")
    func lazy() async throws {
        let count = Counter()
        let servers = naming(1)
        try await servers.startAll()
        let looks: [Result<[HostPort]?, ResolverError>] = [
            .failure(ResolverError("not yet")), .success(nil), .success(servers.addresses),
        ]
        try await servers.withClient(resolver: resolver(looks, count: count)) { client in
            #expect(count.value.load(ordering: .relaxed) == 0)
            let answer = try await client.call(named)
            #expect(answer == [0])
            #expect(count.value.load(ordering: .relaxed) >= 3)
        }
    }

    @Test("A call that does not wait hears why nothing was found, as does one that waits in vain")
    func failure() async throws {
        let client = try ClientPool(
            service: "auth", resolver: resolver([.failure(ResolverError("the name nowhere does not resolve"))]),
            tls: try TestCertificates.shared.get().identity("gateway"))
        for waits in [false, true] {
            let error = try await client.failure(named, timeout: .seconds(1)) { $0.waitForReady = waits }
            #expect(error.code == .unavailable && error.processed == .no)
            #expect(error.message.contains("the name nowhere does not resolve"), "\(error)")
        }
        await client.shutdown()
    }

    @Test("What was found still holds when a later look finds nothing")
    func failureLater() async throws {
        let count = Counter()
        let servers = naming(1)
        try await servers.startAll()
        let looks: [Result<[HostPort]?, ResolverError>] = [
            .success(servers.addresses), .failure(ResolverError("name server is down")),
        ]
        try await servers.withClient(resolver: resolver(looks, count: count)) { client in
            _ = try await client.call(named)
            try await until { count.value.load(ordering: .relaxed) > 3 }
            _ = try await client.call(named)
            #expect(client.readyPeers == 1)
        }
    }

    @Test("A file that is replaced moves the calls, and lets go of the server that it no longer names")
    func file() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("auth.peers")
        let servers = naming(2)
        try await servers.startAll()
        func write(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) }
        try write("# one of two\n\n  \(servers.addresses[0])   # here\n")
        try await servers.withClient(resolver: .file(path, interval: .milliseconds(2))) { client in
            let first = try await client.call(named)
            #expect(first == [0])
            try write("[\"\(servers.addresses[1])\"]")
            try await until { try await client.call(named) == [1] }
            try await until { servers.server(0)?.connectionCount == 0 }
            // Nonsense moves nothing.
            try write("nowhere")
            for _ in 0..<20 { _ = try await client.call(named) }
            try write("\(servers.addresses[0])\n\(servers.addresses[1])\n")
            try await until { try await client.call(named) == [0] }
            #expect(client.readyPeers == 2)
        }
    }

    @Test("A file says what is wrong with it", arguments: [
        ("", "lists no address"), ("# nothing\n", "lists no address"), ("localhost", "is no address"),
        ("127.0.0.1:0", "is no address"), ("[1]", "no JSON list"), ("[", "no JSON list"), ("[]", "lists no address"),
    ])
    func wrongFile(text: String, expected: String) {
        let error = #expect(throws: ResolverError.self) { try FileSource.parse(text, path: "/etc/peers") }
        #expect(error?.description.contains(expected) == true, "\(String(describing: error))")
        #expect(error?.description.contains("/etc/peers") == true)
    }

    @Test("A file that is not there is named")
    func noFile() {
        var source = FileSource(path: "/nowhere/at/all")
        let error = #expect(throws: ResolverError.self) { try source.look() }
        #expect(error?.description == "/nowhere/at/all: no such file or directory")
    }

    @Test("A connection that fails has the resolver look again")
    func refresh() async throws {
        let count = Counter()
        let servers = naming(2)
        try await servers.startAll()
        let looks: [Result<[HostPort]?, ResolverError>] = [
            .success([servers.addresses[0]]), .success([servers.addresses[1]]),
        ]
        try await servers.withClient(resolver: resolver(looks, count: count, interval: .seconds(600))) { client in
            let first = try await client.call(named)
            #expect(first == [0])
            try await servers.stop(0)
            let second = try await client.call(named)
            #expect(second == [1])
        }
    }
}
