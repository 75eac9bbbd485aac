import RPCCore
import RPCTransport
import ServiceLifecycle

/// What the two kinds of server have in common for a process that runs one.
protocol RPCServer: Sendable {
    func start() async throws -> BoundAddress
    func run() async throws
    func shutdown()
    var methods: [MethodDescriptor] { get }
    var load: ServerLoad { get }
}

extension SyncServer: RPCServer {}
extension AsyncServer: RPCServer {}

/// A server as a member of a service group: it drains when the group stops.
struct RPCService: Service, CustomStringConvertible {
    let server: any RPCServer
    let drain: DrainFlag

    var description: String { "rpc server" }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            drain.raise()
            server.shutdown()
        }
    }
}
