import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GRPCProtobuf


/// The methods, named as generated code would name them.
enum Echo {
    static let unary = MethodDescriptor(fullyQualifiedService: "lockstep.echo.v1.EchoService", method: "Echo")
    static let pour = MethodDescriptor(fullyQualifiedService: "lockstep.echo.v1.EchoService", method: "Pour")
}

/// Answers with what it is sent, over mutual TLS 1.3.
struct EchoServer {
    let state: String

    func run() async throws {
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0),
            transportSecurity: .mTLS(
                certificateChain: [.file(path: "\(state)/certs/auth.pem", format: .pem)],
                privateKey: .file(path: "\(state)/certs/auth.key", format: .pem)
            ) { $0.trustRoots = .certificates([.file(path: "\(state)/ca.pem", format: .pem)]) })
        let server = GRPCServer(transport: transport, services: [Service()])
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await server.serve() }
            if let address = try await server.listeningAddress?.ipv4 {
                print(address.port)
                fflush(nil)
            }
        }
    }

    private struct Service: RegistrableRPCService {
        func registerMethods(with router: inout RPCRouter<some ServerTransport>) {
            router.registerHandler(
                forMethod: Echo.unary, deserializer: ProtobufDeserializer<EchoRequest>(),
                serializer: ProtobufSerializer<EchoResponse>()
            ) { request, _ in
                let single = try await ServerRequest(stream: request)
                var response = EchoResponse()
                response.payload = single.message.payload
                return StreamingServerResponse(single: ServerResponse(message: response))
            }
            router.registerHandler(
                forMethod: Echo.pour, deserializer: ProtobufDeserializer<EchoRequest>(),
                serializer: ProtobufSerializer<EchoResponse>()
            ) { request, _ in
                let single = try await ServerRequest(stream: request)
                var response = EchoResponse()
                response.payload = single.message.payload
                return StreamingServerResponse { [response] writer in
                    while true { try await writer.write(response) }
                }
            }
        }
    }
}
