import Glibc
import RPCCore
import RPCTransport

/// Lockstep's own echoes.
enum EchoServers {
    private struct Echo: EchoServiceHandler {
        func echo(_ request: EchoRequest, _ context: CallContext) throws -> EchoResponse {
            var response = EchoResponse()
            response.payload = request.payload
            return response
        }
    }

    private struct Relay: RelayServiceHandler {
        func echo(_ request: RelayRequest, _ context: CallContext) async throws -> RelayResponse {
            var response = RelayResponse()
            response.payload = request.payload
            return response
        }

        func pour(
            _ request: RelayPourRequest, _ responses: MessageWriter<RelayResponse>, _ context: CallContext
        ) async throws {
            var response = RelayResponse()
            response.payload = request.payload
            for _ in 0..<request.count { try await responses.write(response) }
        }
    }

    /// As many connections as anybody asks for.
    private static var options: ServerOptions {
        var options = ServerOptions()
        options.maximumConnections = 50_000
        return options
    }

    static func sync(_ tls: TLSIdentity) async throws {
        let server = try SyncServer(handlers: [Echo()], tls: tls, options: options)
        announce(try await server.start().port)
        try await server.run()
    }

    static func async(_ tls: TLSIdentity) async throws {
        let server = try AsyncServer(handlers: [Relay()], tls: tls, options: options)
        announce(try await server.start().port)
        try await server.run()
    }

    static func announce(_ port: Int) {
        print(port)
        fflush(nil)
    }
}
