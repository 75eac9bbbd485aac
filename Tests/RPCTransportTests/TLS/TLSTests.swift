import NIOSSL
import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing
import WireCore

@Suite(.timeLimit(.minutes(1)))
struct TLSTests {
    /// What a peer without the right to talk to us shows.
    enum Intruder: CaseIterable {
        case tls12, noALPN, wrongALPN, noCertificate, foreignAuthority, expired, notYetValid, serverOnly
        case noName, twoNames, foreignDomain
    }

    @Test(
        "Who cannot show the right TLS, ALPN and name hears not one byte, and others do not notice",
        arguments: Intruder.allCases)
    func refused(intruder: Intruder) async throws {
        try await withServer([.echo]) { _, address in
            try await withClient(address) { neighbour in
                _ = try await neighbour.call(AsyncMethod.echoDescriptor)
                let peer = try await RawPeer(address, tls: try context(for: intruder))
                #expect(try await peer.outcome.received.isEmpty)
                #expect(try await neighbour.call(AsyncMethod.echoDescriptor, [1]) == [1])
                #expect(neighbour.readyConnections == 1)
            }
        }
    }

    @Test("The right TLS, ALPN and name are let in: what the others lack is all that they lack")
    func welcome() async throws {
        try await withServer([.echo]) { _, address in
            let authority = try TestCertificates.shared.get()
            let tls = try authority.rawClient(authority.authority.issue(service: "auth"))
            let peer = try await RawPeer(address, tls: tls)
            peer.send(Array("nonsense, so that the server ends it".utf8))
            // HELLO, then GOODBYE.
            #expect(try await peer.outcome.received.count > 16)
        }
    }

    @Test(
        "Plaintext is refused",
        arguments: ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-x\r\n"])
    func plaintext(greeting: String) async throws {
        try await withServer([.echo]) { _, address in
            let peer = try await RawPeer(address, tls: nil)
            peer.send(Array(greeting.utf8))
            let outcome = try await peer.outcome
            // At most a TLS alert.
            #expect(outcome.received.count <= 7)
        }
    }

    @Test("A client does not talk to a server of another name")
    func wrongServer() async throws {
        try await withServer([.echo]) { _, address in
            try await withClient(address, of: "token") { client in
                let error = try await client.failure(AsyncMethod.echoDescriptor) { $0.waitForReady = false }
                #expect(error.code == .unavailable)
                #expect(error.message.contains("the server is auth, not token"))
            }
        }
    }

    @Test("A client does not talk to a server of another authority")
    func foreignServer() async throws {
        let foreign = try TestCertificates()
        let server = try AsyncServer(
            handlers: [TestAsyncService(asyncMethods: [.echo])], tls: try foreign.identity("auth"))
        let address = try await server.start()
        let running = Task { try await server.run() }
        try await withClient(address) { client in
            let error = try await client.failure(AsyncMethod.echoDescriptor) { $0.waitForReady = false }
            #expect(error.code == .unavailable)
            #expect(error.message.contains("CERTIFICATE_VERIFY_FAILED"))
        }
        server.shutdown()
        try await running.value
    }

    @Test("A client that the server refuses says so")
    func refusedClient() async throws {
        let foreign = try TestCertificates()
        let issued = try foreign.authority.issue(service: "gateway")
        let certificates = try TestCertificates.shared.get()
        try await withServer([.echo]) { _, address in
            let peer = try await RawPeer(address, tls: try certificates.rawClient(issued))
            #expect(try await peer.outcome.error?.contains("ALERT") == true)
        }
    }

    private func context(for intruder: Intruder) throws -> NIOSSLContext {
        let certificates = try TestCertificates.shared.get()
        let authority = certificates.authority
        let name = "spiffe://lockstep.local/service/gateway"
        let right = try authority.issue(service: "gateway")
        switch intruder {
        case .tls12: return try certificates.rawClient(right) { $0.maximumTLSVersion = .tlsv12 }
        case .noALPN: return try certificates.rawClient(right) { $0.applicationProtocols = [] }
        case .wrongALPN: return try certificates.rawClient(right) { $0.applicationProtocols = ["h2"] }
        case .noCertificate: return try certificates.rawClient(nil)
        case .foreignAuthority: return try certificates.rawClient(try CertificateFactory().issue(service: "gateway"))
        case .expired: return try certificates.rawClient(try authority.issue(uris: [name], from: -7200, until: -3600))
        case .notYetValid: return try certificates.rawClient(try authority.issue(uris: [name], from: 3600, until: 7200))
        case .serverOnly: return try certificates.rawClient(try authority.issue(uris: [name], usage: .server))
        case .noName: return try certificates.rawClient(try authority.issue(uris: []))
        case .twoNames:
            let other = "spiffe://lockstep.local/service/auth"
            return try certificates.rawClient(try authority.issue(uris: [name, other]))
        case .foreignDomain:
            return try certificates.rawClient(try authority.issue(uris: ["spiffe://evil.example/service/gateway"]))
        }
    }
}

@Suite struct TLSIdentityTests {
    @Test("The name comes from the certificate")
    func name() throws {
        #expect(try TestCertificates.shared.get().identity("auth").identity.service == "auth")
    }

    @Test("A private key that others may read is refused, with the remedy", arguments: [0o640, 0o604, 0o644, 0o660])
    func mode(mode: Int) throws {
        let certificates = try TestCertificates.shared.get()
        let error = #expect(throws: TLSConfigurationError.self) {
            try certificates.identity(try certificates.authority.issue(service: "auth"), keyMode: mode)
        }
        #expect(error?.description.contains("chmod 600") == true)
        #expect(error?.file.hasSuffix(".key") == true)
    }

    @Test("Files that are not there, or not what they should be, are named")
    func files() throws {
        let certificates = try TestCertificates.shared.get()
        let (certificate, key) = try certificates.write(try certificates.authority.issue(service: "auth"))
        let authority = certificates.path("ca.pem")
        let missing = #expect(throws: TLSConfigurationError.self) {
            try TLSIdentity(certificateFile: "/nonexistent.pem", keyFile: key, authorityFile: authority)
        }
        #expect(missing?.description == "/nonexistent.pem: cannot be opened: No such file or directory.")
        let swapped = #expect(throws: TLSConfigurationError.self) {
            try TLSIdentity(certificateFile: key, keyFile: key, authorityFile: authority)
        }
        #expect(swapped?.file == key)
        let (_, otherKey) = try certificates.write(try certificates.authority.issue(service: "auth"))
        let mismatch = #expect(throws: TLSConfigurationError.self) {
            try TLSIdentity(certificateFile: certificate, keyFile: otherKey, authorityFile: authority)
        }
        #expect(mismatch?.description.contains("does not belong to") == true)
    }

    @Test("A certificate of another authority, or without exactly one name, is no identity")
    func names() throws {
        let certificates = try TestCertificates.shared.get()
        let foreign = #expect(throws: TLSConfigurationError.self) {
            try certificates.identity(try CertificateFactory().issue(service: "auth"))
        }
        #expect(foreign?.description.contains("was not issued by") == true)
        for uris in [[], ["spiffe://lockstep.local/service/a", "spiffe://lockstep.local/service/b"], ["spiffe://x/y"]] {
            #expect(throws: TLSConfigurationError.self) {
                try certificates.identity(try certificates.authority.issue(uris: uris))
            }
        }
    }
}
