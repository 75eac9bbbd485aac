import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing
import WireCore

@Suite(.timeLimit(.minutes(1)))
struct HostilePeerTests {
    private func peer(_ address: BoundAddress) async throws -> RawPeer {
        let certificates = try TestCertificates.shared.get()
        return try await RawPeer(
            address, tls: try certificates.rawClient(try certificates.authority.issue(service: "token")))
    }

    @Test(
        "Bytes that are no frames end their connection and no other",
        arguments: [
            [UInt8](repeating: 0xff, count: 12), [UInt8](repeating: 0, count: 64), Array("GET / HTTP/1.1\r\n\r\n".utf8),
            [0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0x7f, 0, 0, 0, 0, 0, 0, 0],
        ])
    func malformed(bytes: [UInt8]) async throws {
        try await withServer([.echo]) { server, address in
            try await withClient(address) { neighbour in
                _ = try await neighbour.call(AsyncMethod.echoDescriptor)
                let hostile = try await peer(address)
                hostile.send(bytes)
                _ = try await hostile.outcome
                #expect(try await neighbour.call(AsyncMethod.echoDescriptor, [9]) == [9])
                // The server closes its end a little after the peer has seen it: this ends, or the time limit does.
                try await until { server.connectionCount <= 1 }
            }
        }
    }

    @Test("A handshake that does not go on is ended")
    func slowHandshake() async throws {
        var options = ServerOptions()
        options.handshakeTimeout = .milliseconds(100)
        let closed = Promised<String>()
        let observer = RecordingObserver { _, reason in closed.fulfill(reason) }
        try await withServer([.echo], observer: observer, options: options) { _, address in
            let silent = try await RawPeer(address, tls: nil)
            silent.send([0x16])
            #expect(try await silent.outcome.received.isEmpty)
            #expect(try await closed.value == "The TLS handshake took too long.")
        }
    }

    @Test("A peer that says nothing after the handshake is ended")
    func noHello() async throws {
        var options = ServerOptions()
        options.limits.handshakeTimeout = .milliseconds(100)
        let closed = Promised<String>()
        let observer = RecordingObserver { _, reason in closed.fulfill(reason) }
        try await withServer([.echo], observer: observer, options: options) { _, address in
            let silent = try await peer(address)
            _ = try await silent.outcome
            #expect(try await closed.value.contains("HELLO"))
        }
    }

    @Test("One connection too many is closed, and there is room again when one has gone")
    func tooMany() async throws {
        var options = ServerOptions()
        options.maximumConnections = 1
        try await withServer([.echo], options: options) { server, address in
            try await withClient(address) { first in
                _ = try await first.call(AsyncMethod.echoDescriptor)
                let second = try await peer(address)
                #expect(try await second.outcome.received.isEmpty)
                #expect(server.connectionCount == 1)
            }
            try await withClient(address) { third in
                let answer = try await third.call(AsyncMethod.echoDescriptor, [3])
                #expect(answer == [3])
            }
        }
    }
}
