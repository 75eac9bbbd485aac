import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GRPCProtobuf

typealias EchoClient = GRPCClient<HTTP2ClientTransport.Posix>

/// Callers, each making one call after the other, through the public API of grpc-swift-2.
struct Load {
    let plan: Call

    init(_ plan: Call) { self.plan = plan }

    func run() async throws -> LoadReport {
        let clients = try (0..<plan.connections).map { _ in try client() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { try await client.runConnections() } }
            let report = try await measure(clients)
            for client in clients { client.beginGracefulShutdown() }
            group.cancelAll()
            return report
        }
    }

    private func client() throws -> EchoClient {
        let state = plan.options.state
        return GRPCClient(
            transport: try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: plan.port),
                transportSecurity: .mTLS(
                    certificateChain: [.file(path: "\(state)/certs/operator.pem", format: .pem)],
                    privateKey: .file(path: "\(state)/certs/operator.key", format: .pem)
                ) {
                    $0.trustRoots = .certificates([.file(path: "\(state)/ca.pem", format: .pem)])
                    // Identities are URIs here, which this library does not look at.
                    $0.serverCertificateVerification = .noHostnameVerification
                }))
    }

    private func measure(_ clients: [EchoClient]) async throws -> LoadReport {
        for client in clients { try await call(client, request) }
        let start = ContinuousClock.now.advanced(by: .seconds(1))
        let end = start.advanced(by: .seconds(plan.seconds))
        var report = try await withThrowingTaskGroup(of: LoadReport.self) { group in
            for client in clients {
                for _ in 0..<plan.outstanding {
                    group.addTask { plan.stream ? try await pour(client, start, end) : try await calls(client, start, end) }
                }
            }
            group.addTask {
                try await Task.sleep(until: start)
                print("start")
                fflush(nil)
                let before = processCPU()
                try await Task.sleep(until: end)
                return LoadReport(cpu: processCPU() - before)
            }
            return try await group.reduce(into: LoadReport()) { $0.add($1) }
        }
        report.seconds = plan.seconds
        return report
    }

    private var request: EchoRequest {
        var request = EchoRequest()
        request.payload = Data((0..<plan.size).map { UInt8(truncatingIfNeeded: $0) })
        return request
    }

    private func call(_ client: EchoClient, _ request: EchoRequest) async throws {
        _ = try await client.unary(
            request: ClientRequest(message: request), descriptor: Echo.unary,
            serializer: ProtobufSerializer<EchoRequest>(), deserializer: ProtobufDeserializer<EchoResponse>(),
            options: .defaults
        ) { try $0.message }
    }

    private func calls(
        _ client: EchoClient, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        let request = request
        var report = LoadReport()
        var before = ContinuousClock.now
        while before < end {
            try await call(client, request)
            let after = ContinuousClock.now
            if before >= start, after <= end {
                report.calls += 1
                report.latencies.add(before.duration(to: after))
            }
            before = after
        }
        return report
    }

    private func pour(
        _ client: EchoClient, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        try await client.serverStreaming(
            request: ClientRequest(message: request), descriptor: Echo.pour,
            serializer: ProtobufSerializer<EchoRequest>(), deserializer: ProtobufDeserializer<EchoResponse>(),
            options: .defaults
        ) { response in
            var report = LoadReport()
            for try await _ in response.messages {
                let now = ContinuousClock.now
                if now >= end { break }
                if now >= start { report.calls += 1 }
            }
            return report
        }
    }
}
