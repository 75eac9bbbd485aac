import Foundation
import NIOSSL
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing
import WireCore
import X509

/// Certificates, keys and authorities are replaced while connections are open and calls under way.
@Suite(.timeLimit(.minutes(1)))
struct ReloadTests {
    private let files: RotatingCertificates
    private let old: CertificateFactory
    private let new: CertificateFactory

    init() throws {
        files = try RotatingCertificates()
        old = try CertificateFactory(name: "Old")
        new = try CertificateFactory(name: "New")
        try files.believe(old)
        for service in ["auth", "gateway"] { try files.issue(service, by: old) }
    }

    private func serving<Value: Sendable>(
        _ identity: TLSIdentity, _ observer: RecordingObserver = RecordingObserver(),
        _ body: (AsyncServer, BoundAddress) async throws -> Value
    ) async throws -> Value {
        var options = ServerOptions()
        options.limits.drainGrace = .milliseconds(200)
        let server = try AsyncServer(
            handlers: [TestAsyncService(asyncMethods: [.echo])], tls: identity, observer: observer, options: options)
        let address = try await server.start()
        let running = Task { try await server.run() }
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(server, address))
        } catch {
            result = .failure(error)
        }
        server.shutdown()
        try await running.value
        return try result.get()
    }

    /// A client with the certificate of that moment, which believes both authorities.
    private func raw(_ issued: CertificateFactory.Issued) throws -> NIOSSLContext {
        let certificates = try TestCertificates.shared.get()
        return try certificates.rawClient(issued) { configuration in
            let trusted = try? [old, new].flatMap { try NIOSSLCertificate.fromPEMBytes(Array($0.authority().utf8)) }
            configuration.trustRoots = .certificates(trusted ?? [])
        }
    }

    @Test("Files that are unchanged change nothing; new ones hold, and say what is new")
    func changes() throws {
        let identity = try files.identity("auth")
        #expect(try identity.reload().isNone)
        try files.issue("auth", by: old)
        let before = identity.presented.chain
        #expect(try identity.reload() == TLSIdentity.Change(certificate: true))
        #expect(identity.presented.chain != before)
        try files.believe(old, new)
        #expect(try identity.reload() == TLSIdentity.Change(authorities: true))
        #expect(identity.generation == 1)
    }

    /// What may be wrong with new files, and what the error says of it.
    private static let faults: [(file: String, text: String, problem: String)] = [
        ("auth.pem", "garbage", "holds no PEM certificate"), ("auth.key", "garbage", "holds no PEM private key"),
        ("ca.pem", "", "has 0 bytes"), ("ca.pem", "garbage", "holds no PEM certificate"),
    ]

    @Test("Files that cannot be used leave all as it was, and are named", arguments: faults.indices)
    func broken(_ index: Int) async throws {
        let (file, text, problem) = Self.faults[index]
        let identity = try files.identity("auth")
        try await serving(identity) { _, address in
            let before = identity.presented.chain
            try files.write(text, to: file, mode: file.hasSuffix("key") ? 0o600 : 0o644)
            let error = #expect(throws: TLSConfigurationError.self) { try identity.reload() }
            #expect(error?.file == files.path(file))
            #expect(error?.problem.contains(problem) == true)
            #expect(identity.presented.chain == before)
            let peer = try await RawPeer(address, tls: try raw(try old.issue(service: "gateway")))
            peer.send(Array("nonsense, so that the server ends it".utf8))
            #expect(try await peer.outcome.received.count > 16)
        }
    }

    @Test("A certificate of another service, of another key or of no believed authority is not taken")
    func mismatches() throws {
        let identity = try files.identity("auth")
        let right = identity.presented.chain
        let foreign = try old.issue(service: "token")
        try files.write(foreign.certificate, to: "auth.pem")
        #expect(throws: TLSConfigurationError.self) { try identity.reload() }
        try files.write(foreign.key, to: "auth.key", mode: 0o600)
        let renamed = #expect(throws: TLSConfigurationError.self) { try identity.reload() }
        #expect(renamed?.problem == "is the certificate of token; this is auth.")
        try files.issue("auth", by: new)
        let unknown = #expect(throws: TLSConfigurationError.self) { try identity.reload() }
        #expect(unknown?.problem.contains("was not issued by") == true)
        #expect(identity.presented.chain == right)
    }

    @Test("The authority is replaced, with an overlap, while calls run: none fails, and the old certificate ends")
    func rotation() async throws {
        let observer = RecordingObserver()
        let server = try files.identity("auth")
        let gateway = try files.identity("gateway")
        let before = try old.issue(service: "gateway")
        try await serving(server, observer) { _, address in
            let client = try ClientPool(
                service: "auth", host: address.host, port: address.port, tls: gateway,
                options: ClientOptions(connections: 4))
            let outsider = try await RawPeer(address, tls: try raw(before))
            outsider.send(Self.hello)
            try await until { observer.all.opened.count >= 1 }
            let load = SteadyLoad(client)
            try await load.during {
                for step in RotationStep.allCases {
                    try apply(step)
                    // One after the other, as two processes would: the order must not matter.
                    let order = step == .issue ? [gateway, server] : [server, gateway]
                    for identity in order { _ = try identity.reload() }
                    try await load.goOn(calls: 200)
                }
                // The connections of before are gone, the outsider's too: nobody believes what they showed.
                _ = try await outsider.outcome
                try await until { observer.all.closed.count >= 5 }
                try await load.goOn(calls: 200)
            }
            #expect(load.failures.isEmpty)
            let refused = try await RawPeer(address, tls: try raw(before))
            #expect(try await refused.outcome.received.isEmpty)
            await client.shutdown()
        }
    }

    private enum RotationStep: CaseIterable {
        case announce, issue, retire
    }

    private func apply(_ step: RotationStep) throws {
        switch step {
        case .announce: try files.believe(old, new)
        case .issue: for service in ["auth", "gateway"] { try files.issue(service, by: new) }
        case .retire: try files.believe(new)
        }
    }

    @Test("Who believes the server's authority no longer ends the connection after its last call, and calls elsewhere")
    func clientEnds() async throws {
        let observer = RecordingObserver()
        let identity = try files.identity("auth")
        let gateway = try files.identity("gateway")
        try await serving(identity, observer) { _, address in
            let client = try ClientPool(
                service: "auth", host: address.host, port: address.port, tls: gateway,
                options: ClientOptions(connections: 1))
            #expect(try await client.call(AsyncMethod.echoDescriptor, [1]) == [1])
            // Only the gateway's side changes: it gets a certificate of the new authority, and believes that alone.
            try files.issue("gateway", by: new)
            try files.believe(new)
            #expect(try gateway.reload() == TLSIdentity.Change(certificate: true, authorities: true))
            try await until { observer.all.closed.count == 1 }
            let error = try await client.failure(AsyncMethod.echoDescriptor) { $0.waitForReady = false }
            #expect(error.message.contains("CERTIFICATE_VERIFY_FAILED"))
            await client.shutdown()
        }
    }

    @Test("A connection whose handshake crosses the change is checked too")
    func acceptance() throws {
        let identity = try files.identity("auth")
        let issued = try new.issue(service: "gateway")
        let certificate = try Certificate(pemEncoded: issued.certificate)
        #expect(!identity.accepts(certificate))
        try files.believe(old, new)
        _ = try identity.reload()
        #expect(identity.accepts(certificate))
        #expect(!identity.accepts(certificate, at: certificate.notValidAfter.addingTimeInterval(1)))
        #expect(!identity.accepts(certificate, at: certificate.notValidBefore.addingTimeInterval(-1)))
        try files.issue("auth", by: new)
        try files.believe(new)
        _ = try identity.reload()
        #expect(identity.accepts(certificate))
        #expect(!identity.accepts(try Certificate(pemEncoded: try old.issue(service: "gateway").certificate)))
    }

    /// A client's HELLO, as in `vectors/server.json`.
    static let hello: [UInt8] = [
        0, 0, 0, 0x28, 1, 0, 0, 0, 0, 0, 0, 0, 0x4C, 0x4B, 0x53, 0x54, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0,
        4, 0, 0, 0, 0, 0x20, 0, 0, 0x40, 0, 0, 0, 0, 3, 0xE8, 0, 0, 0, 0,
    ]
}

/// Calls without end from several tasks, and what became of them.
private final class SteadyLoad: Sendable {
    private let client: ClientPool
    private let seen = Mutex<(calls: Int, failures: [String])>((0, []))
    private let stop = Latch()

    init(_ client: ClientPool) { self.client = client }

    var failures: [String] { seen.withLock { $0.failures } }

    func during(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<8 as Range<UInt8> { group.addTask { await self.work(worker) } }
            do {
                try await body()
            } catch {
                stop.open()
                throw error
            }
            stop.open()
            try await group.waitForAll()
        }
    }

    /// Returns after that many calls more.
    func goOn(calls: Int) async throws {
        let goal = seen.withLock { $0.calls } + calls
        try await until { seen.withLock { $0.calls } >= goal }
    }

    private func work(_ worker: UInt8) async {
        while !stop.isOpen {
            do throws(RPCError) {
                let answer = try await client.call(AsyncMethod.echoDescriptor, [worker])
                seen.withLock { $0.calls += 1 }
                #expect(answer == [worker])
            } catch {
                seen.withLock { $0.failures.append(error.message) }
            }
        }
    }
}
