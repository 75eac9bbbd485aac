import Foundation
import RPCCore
import RPCTransport
import TestSupport
import Testing

/// A client that resumes its TLS session skips certificates: it must be who it was, and not outlive its authority.
@Suite(.timeLimit(.minutes(1)), .enabled(if: opensslCommand != nil, "needs the openssl command"))
struct ResumptionTests {
    private let files: RotatingCertificates
    private let old: CertificateFactory
    private let new: CertificateFactory

    init() throws {
        files = try RotatingCertificates()
        old = try CertificateFactory(name: "Old")
        new = try CertificateFactory(name: "New")
        try files.believe(old)
        try files.issue("auth", by: old)
        try files.issue("gateway", by: old)
        try files.write(try old.authority() + "\n" + new.authority() + "\n", to: "both.pem")
    }

    /// Connects as the gateway, says HELLO, and waits for what `body` waits for. What `s_client` printed.
    private func connect(
        _ address: BoundAddress, _ session: [String], _ body: (Process) async throws -> Void
    ) async throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: try #require(opensslCommand))
        process.arguments =
            [
                "s_client", "-connect", address.description, "-alpn", "lockstep/1", "-cert", files.path("gateway.pem"),
                "-key", files.path("gateway.key"), "-CAfile", files.path("both.pem"),
            ] + session
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try? input.fileHandleForWriting.write(contentsOf: Data(ReloadTests.hello))
        try await body(process)
        try input.fileHandleForWriting.close()
        // It prints less than a pipe holds.
        process.waitUntilExit()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Its session's file, once a first connection has been made.
    private func session(_ address: BoundAddress, _ observer: RecordingObserver) async throws -> String {
        let session = files.path("session")
        _ = try await connect(address, ["-sess_out", session]) { _ in
            try await until { observer.all.opened.count == 1 && FileManager.default.fileExists(atPath: session) }
        }
        return session
    }

    /// Has `s_client` believe that the server takes early data on this session: max_early_data is field 15 of the session's
    /// ASN.1, just before the protocol that ALPN agreed upon. It offers none otherwise.
    private static func inviteEarlyData(_ file: String) throws {
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        var session = try #require(Data(base64Encoded: lines.filter { !$0.hasPrefix("-") }.joined()))
        let alpn = Data("lockstep/1".utf8)
        let agreed = Data([0xB0, UInt8(alpn.count + 2), 0x04, UInt8(alpn.count)]) + alpn
        let place = try #require(session.range(of: agreed)).lowerBound
        session.insert(contentsOf: [0xAF, 4, 2, 2, 0x40, 0], at: place)
        try #require(session[1] == 0x82, "a session of another length than is expected here")
        (session[2], session[3]) = (UInt8((session.count - 4) >> 8), UInt8(truncatingIfNeeded: session.count - 4))
        let text = session.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        let name = "SSL SESSION PARAMETERS"
        try "-----BEGIN \(name)-----\n\(text)\n-----END \(name)-----\n".write(
            toFile: file, atomically: true, encoding: .utf8)
    }

    @Test("Early data that a resumed session offers is refused, and none of it is heard")
    func earlyData() async throws {
        let observer = RecordingObserver()
        let server = try AsyncServer(
            handlers: [TestAsyncService(asyncMethods: [.echo])], tls: try files.identity("auth"), observer: observer)
        let address = try await server.start()
        let running = Task { try await server.run() }
        let session = try await session(address, observer)
        let invited = try await connect(address, ["-sess_in", session, "-sess_out", session]) { _ in
            try await until { observer.all.opened.count == 2 }
        }
        #expect(!invited.contains("Max Early Data: 1"), "a session invites early data: \(invited)")

        try Self.inviteEarlyData(session)
        // Were it heard, it would be no HELLO, and the connection would end.
        try files.write("nonsense", to: "early")
        let offered = try await connect(address, ["-sess_in", session, "-early_data", files.path("early")]) { _ in
            try await until { observer.all.opened.count == 3 }
        }
        #expect(offered.contains("Early data was rejected"), "\(offered)")
        #expect(offered.contains("Reused, TLSv1.3"), "\(offered)")
        server.shutdown()
        try await running.value
    }

    @Test("A resumed session has the identity of its first handshake, and none once its authority is gone")
    func resumption() async throws {
        let observer = RecordingObserver()
        let identity = try files.identity("auth")
        let server = try AsyncServer(
            handlers: [TestAsyncService(asyncMethods: [.echo])], tls: identity, observer: observer)
        let address = try await server.start()
        let running = Task { try await server.run() }
        let session = try await session(address, observer)
        let resumed = try await connect(address, ["-sess_in", session, "-sess_out", session]) { _ in
            try await until { observer.all.opened.count == 2 }
        }
        #expect(resumed.contains("Reused, TLSv1.3"), "\(resumed)")
        #expect(observer.all.opened.map(\.service) == ["gateway", "gateway"])

        try files.issue("auth", by: new)
        try files.believe(new)
        _ = try identity.reload()
        let late = try await connect(address, ["-sess_in", session]) { process in
            try await until { !process.isRunning }
        }
        #expect(late.contains("alert unknown ca"), "\(late)")
        #expect(observer.all.opened.count == 2)
        server.shutdown()
        try await running.value
    }
}

private let opensslCommand = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first(
    where: FileManager.default.isExecutableFile(atPath:))
