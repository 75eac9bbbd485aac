import ContractClients
import Contracts
import Foundation
import Logging
import RPCCore
import RPCTransport
@testable import ServiceKit
import ServiceClients
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// Keeps the first value that it is given and wakes whoever waits for it.
final class Arrival<Value: Sendable>: Sendable {
    private let stream: AsyncStream<Value>
    private let continuation: AsyncStream<Value>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func send(_ value: Value) { continuation.yield(value) }

    func value() async throws -> Value {
        for await value in stream { return value }
        throw CancellationError()
    }
}

/// A worker that waits to be stopped.
struct Worker: Service {
    let stopped: @Sendable () -> Void

    func run() async throws {
        try? await gracefulShutdown()
        stopped()
    }
}

@Suite struct ServiceProcessTests {
    let certificates: Certificates
    let output = CollectedOutput()

    init() throws { certificates = try Certificates() }

    func variables(_ more: [String: String] = [:]) -> [String: String] {
        ["LOCKSTEP_STATE": certificates.directory.url.path].merging(more) { $1 }
    }

    /// Health as `auth` sees it at the process that listens there.
    func health(of service: String, at address: BoundAddress) async throws -> RuntimeCheckResponse {
        let peer = "LOCKSTEP_PEERS_\(service.uppercased())"
        let environment = try ServiceEnvironment.load(
            ConfigTable(service: "auth", keys: []), environment: variables([peer: address.description]),
            output: output)
        let peers = try Peers(environment)
        let name: Peers.Name = service == "encryption" ? .encryption : .email
        var options = CallOptions()
        options.requestID = "req_of_the_test"
        let answer = try await HealthServiceClient(peers.channel(to: name)).check(RuntimeCheckRequest(), options)
        await peers.shutdown()
        return answer
    }

    /// Why the process did not start.
    func failure(of process: AsyncServiceProcess, _ environment: [String: String]) async -> (any Error)? {
        do {
            try await process.run(environment: environment, output: output)
            return nil
        } catch {
            return error
        }
    }

    @Test func anAsyncProcessServesLogsAndStops() async throws {
        let stopped = Arrival<String>()
        let process = AsyncServiceProcess(table: ConfigTable(service: "email", keys: [])) { environment in
            #expect(environment.name == "email")
            return AsyncParts(
                handlers: [NothingHandler()], background: [Worker { stopped.send("worker") }],
                cleanup: { stopped.send("cleanup") })
        }
        let bound = Arrival<BoundAddress?>()
        let environment = variables(["LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:0", "LOCKSTEP_LOG_LEVEL": "debug"])
        let run = Task { try await process.run(environment: environment, output: output) { bound.send($0) } }
        let address = try #require(try await bound.value())
        let answer = try await health(of: "email", at: address)
        #expect(answer.service == "email")
        #expect(answer.state == .serving)
        run.cancel()
        _ = await run.result
        #expect(try await stopped.value() == "worker")
        let call = try #require(try output.objects().first { $0["message"] as? String == "call" })
        #expect(call["request_id"] as? String == "req_of_the_test")
        #expect(call["peer"] as? String == "auth")
    }

    @Test func aSyncProcessServesAndStops() async throws {
        let stopped = Mutex(false)
        let table = ConfigTable(service: "encryption", keys: [], callsOut: false)
        let process = SyncServiceProcess(table: table) { _ in
            SyncParts(handlers: [], stop: { stopped.withLock { $0 = true } })
        }
        let bound = Arrival<BoundAddress?>()
        let environment = variables(["LOCKSTEP_ENCRYPTION_LISTEN": "127.0.0.1:0"])
        let run = Task { try await process.run(environment: environment, output: output) { bound.send($0) } }
        let address = try #require(try await bound.value())
        #expect(try await health(of: "encryption", at: address).service == "encryption")
        run.cancel()
        _ = await run.result
        #expect(stopped.withLock { $0 })
    }

    @Test func aProcessWithoutHandlersHasNoListener() async throws {
        let process = AsyncServiceProcess(table: ConfigTable(service: "gateway", keys: [])) { environment in
            let port = try environment.configuration.listen.port
            #expect(port == 8443)
            return AsyncParts(handlers: [], background: [Worker {}])
        }
        let bound = Arrival<BoundAddress?>()
        let run = Task { try await process.run(environment: variables(), output: output) { bound.send($0) } }
        #expect(try await bound.value() == nil)
        run.cancel()
        _ = await run.result
    }

    @Test func whatIsWrongAtStartSaysSoAndHasItsStatus() async throws {
        let table = ConfigTable(service: "email", keys: [])
        let process = AsyncServiceProcess(table: table) { _ in AsyncParts(handlers: []) }
        let cases: [([String: String], String, Int32)] = [
            (["LOCKSTEP_EMAIL_LISTEN": "nowhere"], "email.listen is \"nowhere\"", 78),
            (["LOCKSTEP_EMAIL_CERTIFICATE": "certs/none.pem"], "certs/none.pem: cannot be opened", 78),
            (
                ["LOCKSTEP_EMAIL_CERTIFICATE": "certs/auth.pem", "LOCKSTEP_EMAIL_KEY": "certs/auth.key"],
                "the certificate is auth's, not email's", 78
            ),
        ]
        for (more, expected, status) in cases {
            let error = try #require(await failure(of: process, variables(more)))
            #expect("\(error)".contains(expected))
            #expect(ExitStatus.status(for: error) == status)
        }
        #expect(ExitStatus.status(for: CancellationError()) == 1)
    }

    @Test func aPortInUseIsAnErrorThatNamesIt() async throws {
        let table = ConfigTable(service: "email", keys: [])
        let process = AsyncServiceProcess(table: table) { _ in AsyncParts(handlers: [NothingHandler()]) }
        let bound = Arrival<BoundAddress?>()
        let first = variables(["LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:0"])
        let run = Task { try await process.run(environment: first, output: output) { bound.send($0) } }
        let address = try #require(try await bound.value())
        let second = variables(["LOCKSTEP_EMAIL_LISTEN": address.description])
        let error = try #require(await failure(of: process, second))
        #expect("\(error)".contains(address.description))
        #expect(ExitStatus.status(for: error) == 1)
        run.cancel()
        _ = await run.result
    }

    @Test func theEndOfTheLifelineIsNoticed() async throws {
        let pipe = Pipe()
        let gone = Arrival<Bool>()
        let reader = dup(pipe.fileHandleForReading.fileDescriptor)
        Lifeline.watch(reader) { gone.send(true) }
        try pipe.fileHandleForWriting.write(contentsOf: Data("ignored".utf8))
        try pipe.fileHandleForWriting.close()
        #expect(try await gone.value())
        close(reader)
    }
}

/// Hosts nothing: what is asked is health alone.
struct NothingHandler: AsyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "lockstep.test.v1.NothingService", execution: .async, hostedByBoth: false, methods: [], fingerprint: 1)
    var asyncMethods: [AsyncMethod] { [] }
}
