import DevelopmentCA
import Foundation
import RPCCore
import RPCTransport
@testable import ServiceKit
import Testing

/// A process notices that its certificates were replaced.
@Suite(.timeLimit(.minutes(1)))
struct CertificateWatchTests {
    private let certificates: Certificates
    private let output = CollectedOutput()

    init() throws { certificates = try Certificates() }

    /// Runs `email` with a look every few milliseconds.
    private func running(_ more: [String: String] = [:], _ body: () async throws -> Void) async throws {
        let process = AsyncServiceProcess(table: ConfigTable(service: "email", keys: [])) { _ in
            AsyncParts(handlers: [NothingHandler()])
        }
        let variables = [
            "LOCKSTEP_STATE": certificates.directory.url.path, "LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:0",
            "LOCKSTEP_TLS_RELOAD": "5ms",
        ].merging(more) { $1 }
        let bound = Arrival<BoundAddress?>()
        let run = Task { try await process.run(environment: variables, output: output) { bound.send($0) } }
        _ = try await bound.value()
        do {
            try await body()
        } catch {
            run.cancel()
            throw error
        }
        run.cancel()
        _ = await run.result
    }

    /// Returns the first line behind `count` others with that message.
    private func line(_ message: String, after count: Int = 0) async throws -> [String: Any] {
        while true {
            let found = try output.objects().filter { $0["message"] as? String == message }
            if found.count > count { return found[count] }
            // Another look: the log tells nobody that it has grown.
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: certificates.path(name)))
    }

    @Test("Broken files are reported by name and change nothing; good ones are taken")
    func replaced() async throws {
        try await running {
            let good = try String(contentsOfFile: certificates.path("certs/email.pem"), encoding: .utf8)
            try write("garbage", to: "certs/email.pem")
            let complaint = try await line("certificates not reloaded, those in use stay")
            #expect(complaint["level"] as? String == "error")
            #expect((complaint["error"] as? String)?.contains("certs/email.pem: holds no PEM certificate") == true)
            try write(good, to: "certs/email.pem")
            _ = try DevelopmentCertificates(directory: certificates.directory.url.path).rotate()
            let report = try await line("certificates reloaded")
            #expect(report["authorities_changed"] as? Bool == true)
            #expect(report["certificate_changed"] as? Bool == false)
        }
    }

    @Test("SIGHUP has them read at once, and says so even if nothing is new")
    func signal() async throws {
        // What it finds by itself proves that the watch is there before the signal comes.
        try await running {
            _ = try DevelopmentCertificates(directory: certificates.directory.url.path).rotate()
            _ = try await line("certificates reloaded")
            kill(getpid(), SIGHUP)
            let report = try await line("certificates reloaded", after: 1)
            #expect(report["authorities_changed"] as? Bool == false)
        }
    }

    @Test("While two authorities are believed, a process starts, and believes tokens signed under either")
    func startsMeanwhile() async throws {
        let development = DevelopmentCertificates(directory: certificates.directory.url.path)
        for _ in 0..<2 {
            _ = try development.rotate()
            try await running {}
            _ = try IdentityTokenVerifier(
                certificateFile: certificates.path("certs/gateway-identity.pem"),
                authorityFile: certificates.path("ca.pem"))
        }
    }

    @Test("The life of connections follows configuration, at servers and at clients")
    func configuration() throws {
        let variables = [
            "LOCKSTEP_STATE": certificates.directory.url.path, "LOCKSTEP_CONNECTIONS_MAX_AGE": "7m",
            "LOCKSTEP_CONNECTIONS_IDLE_TIMEOUT": "90s", "LOCKSTEP_CONNECTIONS_GRACE": "3s",
            "LOCKSTEP_CONNECTIONS_KEEPALIVE": "20s", "LOCKSTEP_CONNECTIONS_KEEPALIVE_TIMEOUT": "4s",
        ]
        let environment = try ServiceEnvironment.load(
            ConfigTable(service: "email", keys: []), environment: variables, output: output)
        let limits = try environment.serverOptions.limits
        #expect(limits.maxAge?.milliseconds == 420_000)
        #expect(limits.idleTimeout?.milliseconds == 180_000)
        #expect(limits.drainGrace.milliseconds == 3000)
        #expect(limits.keepaliveInterval.milliseconds == 20_000)
        #expect(limits.keepaliveTimeout.milliseconds == 4000)
        #expect(try environment.connectionLife.idleTimeout == .seconds(90))
    }
}
