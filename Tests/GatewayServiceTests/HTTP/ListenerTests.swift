import NIOCore
import NIOPosix
import RPCTransport
import Synchronization
import Testing

@testable import GatewayService

/// Connections that never say who they are.
@Suite(.timeLimit(.minutes(2))) struct ListenerTests {
    /// Opens TCP connections on which no handshake ever begins.
    private func silent(_ count: Int, to live: LiveGateway) async throws -> [any Channel] {
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        var channels: [any Channel] = []
        for _ in 0..<count {
            channels.append(try await bootstrap.connect(host: "127.0.0.1", port: live.port).get())
        }
        return channels
    }

    @Test func manyWhoSayNothingKeepNobodyOut() async throws {
        var limits = HTTPLimits()
        limits.handshake = .seconds(3)
        try await LiveGateway.run(limits: limits) { live in
            let channels = try await silent(400, to: live)
            #expect(try await live.send("GET", "/healthz").status == 200)
            // The server closes each of them; without its deadline this would not end.
            for channel in channels { try await channel.closeFuture.get() }
        }
    }

    @Test func aPortThatIsTakenIsNamed() async throws {
        try await LiveGateway.run { live in
            let second = GatewayServer(
                gateway: live.test.backend.gateway, tls: live.certificate.serverConfiguration, host: "127.0.0.1",
                port: live.port, logger: LiveGateway.quiet)
            let failure = await #expect(throws: ServerStartError.self) { try await second.run() }
            #expect(failure?.description.hasPrefix("cannot listen on 127.0.0.1:\(live.port): ") == true, "\(failure as Any)")
            #expect(failure?.description.contains("NIO") == false, "\(failure as Any)")
        }
    }

    @Test func theirPlacesAreGivenToOthers() async throws {
        var limits = HTTPLimits()
        limits.handshake = .seconds(1)
        limits.connections = 4
        try await LiveGateway.run(limits: limits) { live in
            let channels = try await silent(12, to: live)
            #expect(try await live.send("GET", "/healthz").status == 200)
            for channel in channels { try await channel.closeFuture.get() }
        }
    }

    /// On its way to a service and back from it, over either protocol.
    @Test(arguments: HTTPKind.allCases)
    func aRequestIsWorkedOnByTheLoopOfItsConnection(kind: HTTPKind) async throws {
        try await LiveGateway.run { live in
            let loops = Mutex<[ObjectIdentifier?]>([])
            live.test.authChannel.cut { method in
                guard method.name == "GetUser" else { return false }
                loops.withLock { $0.append(MultiThreadedEventLoopGroup.currentEventLoop.map { ObjectIdentifier($0) }) }
                return false
            }
            let token = try live.test.accessToken()
            for _ in 0..<2 {
                #expect(try await live.send("GET", "/v1/users/me", token: token, over: kind).status == 200)
            }
            let seen = loops.withLock { $0 }
            #expect(seen.count == 4 && seen.allSatisfy { $0 != nil } && Set(seen).count == 1, "\(seen)")
        }
    }
}
