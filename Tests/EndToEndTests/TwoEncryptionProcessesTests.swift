import Foundation
import TestSupport
import Testing

/// Two encryption processes, started as they are in production, on one database.
@Suite(.everyEngine) struct TwoEncryptionProcessesTests {
    /// One process: its port, and its end.
    private final class EncryptionProcess: Sendable {
        let port: Int
        let log: URL
        private let process = Process()

        init(_ name: String, state: URL, database: String) throws {
            let ports = try freePorts(2)
            port = ports[0]
            log = state.appending(path: "\(name).log")
            try Data().write(to: log)
            process.executableURL = Places.binaries.appending(path: "encryption")
            process.environment = ProcessInfo.processInfo.environment.merging([
                "LOCKSTEP_STATE": state.path, "LOCKSTEP_ENCRYPTION_LISTEN": "127.0.0.1:\(ports[0])",
                "LOCKSTEP_ENCRYPTION_METRICS": "127.0.0.1:\(ports[1])", "LOCKSTEP_ENCRYPTION_KEYRING_DATABASE": database,
                "LOCKSTEP_ENCRYPTION_KEYRING_CREATE": "true", "LOCKSTEP_ENCRYPTION_KEYRING_POLL": "100ms",
            ]) { $1 }
            let sink = try FileHandle(forWritingTo: log)
            process.standardOutput = sink
            process.standardError = sink
            try process.run()
        }

        var text: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

        /// Children of a test process inherit its blocked signals, and SIGTERM is one of them.
        func kill() {
            _ = Foundation.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    private func lockstep(_ state: URL, _ arguments: String...) async throws -> Finished {
        try await run(Places.binaries.appending(path: "lockstep"), arguments + ["--state", state.path])
    }

    private func answer(_ state: URL, _ port: Int, _ method: String, _ request: String) async throws -> [String: Any] {
        let finished = try await lockstep(
            state, "call", "EncryptionService/\(method)", "--cert", "token", "--target", "127.0.0.1:\(port)", "-d", request)
        try #require(finished.status == 0, "\(finished.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any])
    }

    @Test func sealOnOneRotateOnTheOtherOpenOnBoth() async throws {
        let directory = try TemporaryDirectory()
        let state = URL(filePath: directory.path("state"))
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
        let made = try await lockstep(state, "certs")
        try #require(made.status == 0, "\(made.errors)")
        let database = try await Engine.current.freshURL(directory.path("shared.sqlite"))
        let first = try EncryptionProcess("first", state: state, database: database)
        defer { first.kill() }
        func serves(_ process: EncryptionProcess) async throws {
            let answers: Bool? = try await eventually(within: .seconds(60)) {
                let asked = try await self.lockstep(state, "keys", "list", "--target", "encryption@127.0.0.1:\(process.port)")
                return asked.status == 0 ? true : nil
            }
            try #require(answers == true, "\(process.text)")
        }
        try await serves(first)
        let second = try EncryptionProcess("second", state: state, database: database)
        defer { second.kill() }
        try await serves(second)

        var sealed = [try await answer(state, first.port, "Encrypt", #"{"key_name":"token-vault","plaintext":"AQID"}"#)]
        let rotated = try await lockstep(state, "keys", "rotate", "token-vault", "--target", "encryption@127.0.0.1:\(second.port)")
        try #require(rotated.status == 0, "\(rotated.errors)")
        for process in [first, second] {
            let primary: Bool? = try await eventually(within: .seconds(60)) {
                let described = try await self.lockstep(
                    state, "keys", "describe", "token-vault", "--json", "--target", "encryption@127.0.0.1:\(process.port)")
                return described.output.contains(#""primary_version":2"#) ? true : nil
            }
            #expect(primary == true, "\(process.text)")
            sealed.append(try await answer(state, process.port, "Encrypt", #"{"key_name":"token-vault","plaintext":"AQID"}"#))
        }
        #expect(sealed.compactMap { $0["key_version"] as? Int } == [1, 2, 2])
        for message in sealed {
            let ciphertext = try #require(message["ciphertext"] as? String)
            for process in [first, second] {
                let opened = try await answer(
                    state, process.port, "Decrypt", #"{"key_name":"token-vault","ciphertext":"\#(ciphertext)"}"#)
                #expect(opened["plaintext"] as? String == "AQID")
            }
        }
        // One is killed; the other goes on, and after a lease it does not wait for it any more.
        first.kill()
        let again = try await lockstep(state, "keys", "rotate", "token-vault", "--target", "encryption@127.0.0.1:\(second.port)")
        #expect(again.status == 0, "\(again.errors)")
        let third: Bool? = try await eventually(within: .seconds(120)) {
            let next = try await self.answer(state, second.port, "Encrypt", #"{"key_name":"token-vault","plaintext":"AQID"}"#)
            return next["key_version"] as? Int == 3 ? true : nil
        }
        #expect(third == true, "\(second.text)")
    }
}
