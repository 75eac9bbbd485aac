import ContractClients
import Contracts
import Foundation
import RPCClient
import RPCCore
import RPCTransport
@testable import ServiceKit
import SwiftProtobuf
import Testing

/// What every process hosts by itself, at real processes of both classes.
@Suite struct OperationsTests {
    static let own: Set = [
        "lockstep.runtime.v1.HealthService", "lockstep.runtime.v1.ReflectionService", "lockstep.runtime.v1.AdminService",
    ]
    static let watch = "lockstep.runtime.v1.HealthWatchService"

    let certificates: Certificates
    let output = CollectedOutput()

    init() throws { certificates = try Certificates() }

    /// Runs `email`, which is ASYNC, or `encryption`, which is SYNC, and a client of it.
    func with<Value: Sendable>(
        _ service: String, as caller: String = "operator", book: @escaping @Sendable (HealthBook) -> Void = { _ in },
        _ body: (ClientPool) async throws -> Value
    ) async throws -> Value {
        let bound = Arrival<BoundAddress?>()
        let variables = [
            "LOCKSTEP_STATE": certificates.directory.url.path, "LOCKSTEP_\(service.uppercased())_LISTEN": "127.0.0.1:0",
        ]
        let output = output
        let run = Task {
            if service == "encryption" {
                let table = ConfigTable(service: service, keys: [], callsOut: false)
                let process = SyncServiceProcess(table: table) { environment in
                    book(environment.health)
                    return SyncParts(handlers: [])
                }
                try await process.run(environment: variables, output: output) { bound.send($0) }
            } else {
                let process = AsyncServiceProcess(table: ConfigTable(service: service, keys: [])) { environment in
                    book(environment.health)
                    return AsyncParts(handlers: [NothingHandler()])
                }
                try await process.run(environment: variables, output: output) { bound.send($0) }
            }
        }
        let address = try #require(try await bound.value())
        let path = { (name: String) in certificates.path("certs/\(name)") }
        let tls = try TLSIdentity(
            certificateFile: path("\(caller).pem"), keyFile: path("\(caller).key"),
            authorityFile: certificates.path("ca.pem"))
        let pool = try ClientPool(
            service: service, host: address.host, port: address.port, tls: tls, options: ClientOptions(connections: 1))
        let result: Result<Value, any Error>
        do { result = .success(try await body(pool)) } catch { result = .failure(error) }
        run.cancel()
        await pool.shutdown()
        _ = await run.result
        return try result.get()
    }

    @Test(arguments: ["email", "encryption"])
    func reflectionTellsWhatIsHosted(process: String) async throws {
        try await with(process) { pool in
            let client = ReflectionServiceClient(pool)
            let answer = try await client.listServices(RuntimeListServicesRequest())
            #expect(answer.process == process)
            let names = Set(answer.services.map(\.name))
            let more: Set = process == "email" ? [Self.watch, NothingHandler.contract.name] : []
            #expect(names == Self.own.union(more))
            let health = try #require(answer.services.first { $0.name == "lockstep.runtime.v1.HealthService" })
            let check = try #require(health.methods.first)
            #expect(health.execution == "SYNC" && health.hostedByBoth && health.fingerprint.count == 16)
            #expect(health.file == "lockstep/runtime/v1/runtime.proto")
            #expect(check.id == HealthServiceContract.check.id && check.kind == "unary" && check.cost == "INLINE")
            #expect(check.callers == HealthServiceContract.check.callers && check.maxDeadlineMs == 5000)
            let files = try await client.getFiles(.with { $0.service = health.name }).files
            let protos = try files.map { try Google_Protobuf_FileDescriptorProto(serializedBytes: $0) }
            #expect(protos.map(\.name) == ["lockstep/contract/v1/options.proto", health.file])
            #expect(protos.last?.service.map(\.name) == ["HealthService", "HealthWatchService"])
        }
    }

    @Test func filesAreOfHostedServicesAlone() async throws {
        try await with("encryption") { pool in
            let error = await #expect(throws: RPCError.self) {
                try await ReflectionServiceClient(pool).getFiles(.with { $0.service = "lockstep.auth.v1.AuthService" })
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test(arguments: ["gateway", "auth"], [ReflectionServiceContract.service, AdminServiceContract.service])
    func servicesAreRefusedWhatIsTheOperators(caller: String, service: ServiceDescriptor) async throws {
        try await with("email", as: caller) { pool in
            for method in service.methods {
                let error = await #expect(throws: RPCError.self) {
                    try await pool.call(method, request: [], options: CallOptions())
                }
                #expect(error?.code == .permissionDenied && error?.processed == .no, "\(method.fullName)")
            }
        }
    }

    /// Default deny: nobody but the operator is named, and no method of these has a way in from outside.
    @Test func theContractNamesTheOperatorAlone() {
        for method in ReflectionServiceContract.service.methods + AdminServiceContract.service.methods {
            #expect(method.callers == ["operator"] && method.exposure == .internal && method.http == nil)
            #expect(method.idempotency == .noSideEffects)
        }
    }

    @Test(arguments: ["email", "encryption"])
    func adminSeesTheProcess(process: String) async throws {
        try await with(process) { pool in
            let client = AdminServiceClient(pool)
            let answer = try await client.getProcess(RuntimeGetProcessRequest())
            #expect(answer.process == process && answer.pid == UInt32(getpid()) && !answer.draining)
            #expect(answer.connections == 1 && answer.calls == 1)
            #expect(!answer.eventLoops.isEmpty)
            #expect(answer.hasPool == (process == "encryption"))
            #expect(answer.limits.maxConnections == 1024 && answer.limits.drainGrace.seconds == 10)
            let own = answer.methods.first { $0.method == AdminServiceContract.getProcess.fullName }
            #expect(own?.running == 1 && own?.concurrency == 4)
        }
    }

    @Test(arguments: ["email", "encryption"])
    func adminListsItsOwnCall(process: String) async throws {
        try await with(process) { pool in
            let client = AdminServiceClient(pool)
            let connections = try await client.listConnections(RuntimeListConnectionsRequest())
            try #require(connections.silentEventLoops == 0, "an event loop was held for a quarter of a second")
            let own = try #require(connections.connections.first)
            #expect(connections.total == 1 && own.peer == "operator" && own.calls == 1 && own.totalCalls == 1)
            var options = CallOptions()
            options.requestID = "req_of_admin"
            let calls = try await client.listCalls(RuntimeListCallsRequest(), options)
            try #require(calls.silentEventLoops == 0, "an event loop was held for a quarter of a second")
            let call = try #require(calls.calls.first)
            #expect(calls.total == 1 && call.method == AdminServiceContract.listCalls.fullName)
            #expect(call.lane == "ROUTINE" && call.state == "RUNNING" && call.peer == "operator" && call.attempt == 1)
            #expect(call.requestID == "req_of_admin" && call.remaining.seconds <= 5)
        }
    }

    @Test(arguments: ["email", "encryption"])
    func healthIsOfEachService(process: String) async throws {
        let trouble = "lockstep.runtime.v1.ReflectionService"
        try await with(process, book: { $0.set(trouble, .notServing(reason: "It is being tested.")) }) { pool in
            let client = HealthServiceClient(pool)
            let whole = try await client.check(RuntimeCheckRequest())
            #expect(whole.state == .notServing && whole.service == process)
            let bad = whole.services.filter { $0.state != .serving }
            #expect(bad.map(\.name) == [trouble] && bad.first?.reason == "It is being tested.")
            let well = try await client.check(.with { $0.name = "lockstep.runtime.v1.HealthService" })
            #expect(well.state == .serving && well.services.count == 1)
            let error = await #expect(throws: RPCError.self) { try await client.check(.with { $0.name = "no.Such" }) }
            #expect(error?.code == .notFound)
        }
    }

    @Test func watchersHearOfChangesAndOfTheEnd() async throws {
        let kept = Arrival<HealthBook>()
        try await with("email", book: { kept.send($0) }) { pool in
            let book = try await kept.value()
            let service = NothingHandler.contract.name
            try await HealthWatchServiceClient(pool).watch(.with { $0.name = service }) { changes in
                #expect(try await changes.next()?.health.state == .serving)
                book.set(service, .notServing(reason: "The disk is full."))
                let second = try await changes.next()?.health
                #expect(second?.state == .notServing && second?.services.first?.reason == "The disk is full.")
                book.set(service, .serving)
                #expect(try await changes.next()?.health.state == .serving)
                book.drain()
                #expect(try await changes.next()?.health.state == .draining)
                #expect(try await changes.next() == nil)
            }
        }
    }
}
