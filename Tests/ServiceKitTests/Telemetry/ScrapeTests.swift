import AsyncHTTPClient
import ContractClients
import Contracts
import Foundation
import NIOCore
import NIOHTTP1
import RPCClient
import RPCCore
import RPCTransport
import ServiceClients
@testable import ServiceKit
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// What Prometheus reads of a running process.
@Suite(.timeLimit(.minutes(1))) struct ScrapeTests {
    let certificates: Certificates
    let output = CollectedOutput()

    init() throws { certificates = try Certificates() }

    func variables(_ more: [String: String]) -> [String: String] {
        ["LOCKSTEP_STATE": certificates.directory.url.path].merging(more) { $1 }
    }

    /// The address that the process named in its log.
    func metricsURL() throws -> String {
        let line = try #require(try output.objects().first { $0["message"] as? String == "serving metrics" })
        return try #require(line["address"] as? String)
    }

    func get(
        _ url: String, _ method: HTTPMethod = .GET
    ) async throws -> (status: UInt, headers: HTTPHeaders, body: String) {
        var request = HTTPClientRequest(url: url)
        request.method = method
        let answer = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        return (answer.status.code, answer.headers, String(buffer: try await answer.body.collect(upTo: 1 << 22)))
    }

    /// Asks for the process's health as `auth`, in a trace, saying things of a person beside.
    func ask(_ address: BoundAddress, _ environment: ServiceEnvironment, _ token: String) async throws {
        let peers = try Peers(environment)
        var options = CallOptions()
        options.requestID = "req_of_the_test"
        options.userToken = token
        options.origin = ClientOrigin(address: "203.0.113.9", userAgent: "person/1.0")
        options.trace = TraceContext(parent: TracerTests.outside.utf8, state: "vendor=me@example.com")
        _ = try await HealthServiceClient(peers.channel(to: .email)).check(RuntimeCheckRequest(), options)
        await peers.shutdown()
    }

    func caller(of address: BoundAddress, _ more: [String: String] = [:]) throws -> ServiceEnvironment {
        let variables = variables(["LOCKSTEP_PEERS_EMAIL": address.description].merging(more) { $1 })
        return try ServiceEnvironment.load(ConfigTable(service: "auth", keys: []), environment: variables, output: output)
    }

    @Test func aProcessShowsWhatItMeasures() async throws {
        let process = AsyncServiceProcess(table: ConfigTable(service: "email", keys: [])) { _ in
            AsyncParts(handlers: [NothingHandler()])
        }
        let bound = Arrival<BoundAddress?>()
        let environment = variables([
            "LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:0", "LOCKSTEP_EMAIL_METRICS": "127.0.0.1:0", "LOCKSTEP_LOG_SPANS": "true",
            "LOCKSTEP_LOG_LEVEL": "debug",
        ])
        let run = Task { try await process.run(environment: environment, output: output) { bound.send($0) } }
        let address = try #require(try await bound.value())
        let token = try IdentityTokenSigner(
            certificateFile: certificates.path("certs/gateway-identity.pem"),
            keyFile: certificates.path("certs/gateway-identity.key"))
            .sign(subject: "usr_scraped", session: "ses_scraped", roles: ["user"], lane: .routine)
        let caller = try caller(of: address, ["LOCKSTEP_LOG_SPANS": "true"])
        let before = try await get(try metricsURL())
        #expect(before.status == 200)
        #expect(before.headers.first(name: "content-type") == "text/plain; version=0.0.4; charset=utf-8")
        let check = #"{service="lockstep.runtime.v1.HealthService",method="Check",code="OK"}"#
        #expect(before.body.contains("rpc_server_call_duration_seconds_count\(check) 0\n"))
        #expect(!before.body.contains("AuthService"), "this process neither hosts it nor may call it")
        for _ in 0..<3 { try await ask(address, caller, token) }

        let after = try await get(try metricsURL()).body
        #expect(after.contains("rpc_server_call_duration_seconds_count\(check) 3\n"))
        #expect(after.contains("rpc_server_calls_total\(check) 3\n"))
        #expect(after.contains("\nprocess_resident_memory_bytes "))
        #expect(after.contains("\nevent_loop_delay_seconds_count "))
        #expect(after.contains("queue_depth{queue=\"cpu_pool\"} 0\n"))
        let cpu = try #require(after.firstMatch(of: /\nprocess_cpu_seconds_total ([0-9.]+)\n/))
        #expect(try #require(Double(cpu.1)) > 0)
        // At the caller the same calls are seen from the other side.
        let telemetry = try #require(caller.telemetry)
        #expect(telemetry.text().contains("rpc_client_call_duration_seconds_count\(check) 3\n"))
        #expect(telemetry.text().contains(
            #"rpc_client_calls_in_flight{service="lockstep.runtime.v1.HealthService",method="Check"} 0"# + "\n"))
        try expectOneTrace()

        for personal in ["203.0.113.9", "person/1.0", token, "usr_scraped", "me@example.com", "req_of_the_test", "4bf92f"] {
            #expect(!after.contains(personal), "\(personal) is in the metrics")
        }
        run.cancel()
        _ = await run.result
        await #expect(throws: (any Error).self) { try await get(try metricsURL()) }
    }

    @Test("A handler that holds its event loop is counted by its method, and the log names it")
    func aHandlerThatHoldsItsLoop() async throws {
        let process = AsyncServiceProcess(table: ConfigTable(service: "email", keys: [])) { _ in
            AsyncParts(handlers: [try HoldingHandler()])
        }
        let bound = Arrival<BoundAddress?>()
        let environment = variables(["LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:0", "LOCKSTEP_EMAIL_METRICS": "127.0.0.1:0"])
        let run = Task { try await process.run(environment: environment, output: output) { bound.send($0) } }
        let address = try #require(try await bound.value())
        let peers = try Peers(try caller(of: address))
        let method = try HoldingHandler().method
        _ = try await peers.channel(to: .email).call(method, request: [], options: CallOptions())
        await peers.shutdown()
        let metrics = try await get(try metricsURL()).body
        #expect(metrics.contains(#"event_loop_held_total{service="lockstep.email.v1.EmailService",method="GetMessage"} 1"# + "\n"))
        let lines = try output.objects().filter { $0["message"] as? String == "a handler holds its event loop" }
        #expect(lines.count == 1)
        #expect(lines.first?["method"] as? String == "lockstep.email.v1.EmailService/GetMessage")
        run.cancel()
        _ = await run.result
    }

    /// The caller's part and the callee's, one below the other, in the trace that came from outside.
    private func expectOneTrace() throws {
        let spans = try output.objects().filter { $0["message"] as? String == "span" }
        let clients = spans.filter { $0["kind"] as? String == "client" }
        let servers = spans.filter { $0["kind"] as? String == "server" }
        #expect(clients.count == 3 && servers.count == 3)
        #expect(Set(spans.compactMap { $0["trace_id"] as? String }) == ["4bf92f3577b34da6a3ce929d0e0e4736"])
        #expect(Set(clients.compactMap { $0["parent_id"] as? String }) == ["00f067aa0ba902b7"])
        #expect(
            Set(servers.compactMap { $0["parent_id"] as? String }) == Set(clients.compactMap { $0["span_id"] as? String }))
        let holdsState = output.text.contains("me@example.com")
        #expect(!holdsState, "a log holds the tracestate")
    }

    @Test func onlyTheMetricsAreThere() async throws {
        let listener = try await MetricsListener.start(host: "127.0.0.1", port: 0) { "up 1\n" }
        let url = "http://\(listener.address)"
        #expect(try await get("\(url)/metrics").body == "up 1\n")
        #expect(try await get("\(url)/metrics?x=1").status == 200)
        #expect(try await get("\(url)/").status == 404)
        let post = try await get("\(url)/metrics", .POST)
        #expect(post.status == 405 && post.headers.first(name: "allow") == "GET, HEAD")
        let head = try await get("\(url)/metrics", .HEAD)
        #expect(head.status == 200 && head.body.isEmpty)
        await listener.close()
    }

    @Test(.timeLimit(.minutes(1))) func aPortThatIsTakenStopsNoServiceAndIsUsedOnceItIsFree() async throws {
        let taken = try await MetricsListener.start(host: "127.0.0.1", port: 0) { "" }
        let process = SyncServiceProcess(table: ConfigTable(service: "encryption", keys: [], callsOut: false)) { _ in
            SyncParts(handlers: [])
        }
        let bound = Arrival<BoundAddress?>()
        let environment = variables([
            "LOCKSTEP_ENCRYPTION_LISTEN": "127.0.0.1:0", "LOCKSTEP_ENCRYPTION_METRICS": taken.address.description,
        ])
        let run = Task { try await process.run(environment: environment, output: output) { bound.send($0) } }
        #expect(try await bound.value() != nil)
        let line = try output.objects().first { $0["message"] as? String == "no metrics" }
        #expect(line?["address"] as? String == taken.address.description)
        await taken.close()
        try await until { output.text.contains("serving metrics") }
        #expect(try await get(try metricsURL()).body.contains("process_resident_memory_bytes "))
        run.cancel()
        _ = await run.result
    }

    @Test func aProcessThatShowsNothingMeasuresNothing() throws {
        let off = try caller(
            of: BoundAddress(host: "127.0.0.1", port: 1), ["LOCKSTEP_AUTH_METRICS": "off"])
        #expect(off.telemetry == nil)
        #expect(ProcessRunner(environment: off).observer is CallLog)
        #expect(try off.serverOptions.loopWatch == nil)
        // Nothing stands between a caller and its pool.
        #expect(try Peers(off).channel(to: .email) is ClientPool)
    }
}

/// Holds its event loop for longer than a handler may.
private struct HoldingHandler: AsyncServiceHandler {
    static let contract = Contract.services.first { $0.name == "lockstep.email.v1.EmailService" } ?? NothingHandler.contract
    let method: MethodDescriptor

    init() throws { method = try #require(Self.contract.methods.first { $0.name == "GetMessage" }) }

    var asyncMethods: [AsyncMethod] {
        [
            AsyncMethod(bytes: method) { request, _ in
                let end = ContinuousClock.now.advanced(by: LoopWatch.threshold * 1.1)
                while ContinuousClock.now < end {}
                return request
            }
        ]
    }
}
