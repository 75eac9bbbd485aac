import RPCCore
import RPCTransport
import ServiceLifecycle

/// What the two kinds of server have in common for a process that runs one.
protocol RPCServer: Sendable {
    func start() async throws -> BoundAddress
    func run() async throws
    func shutdown()
    var methods: [MethodDescriptor] { get }
    var summary: ServerSummary { get }
}

extension SyncServer: RPCServer {}
extension AsyncServer: RPCServer {}

/// A server as a member of a service group: it drains when the group stops.
struct RPCService: Service, CustomStringConvertible {
    let server: any RPCServer
    let health: HealthBook

    var description: String { "rpc server" }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            health.drain()
            server.shutdown()
        }
    }
}
