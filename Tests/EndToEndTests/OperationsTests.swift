import Foundation
import Testing

/// What an operator sees of the five processes, through the command line as it is installed.
extension SystemTests {
    private func lockstep(_ arguments: String...) async throws -> Finished { try await lockstep(arguments) }

    private func lockstep(_ arguments: [String]) async throws -> Finished {
        let system = try system
        return try await system.lockstep(arguments + ["--state", system.state.path])
    }

    private func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }

    @Test func listAsksTheRunningProcesses() async throws {
        let all = try await lockstep("list")
        try #require(all.status == 0, "\(all.errors)")
        for service in ["auth.v1.AuthService", "token.v1.TokenService", "email.v1.EmailService", "encryption.v1.JWTService"] {
            #expect(all.output.contains("  lockstep.\(service)  "), "\(service)")
        }
        let one = try await lockstep("list", "--target", "encryption", "--json")
        let answer = try object(one.output)
        #expect(answer["process"] as? String == "encryption")
        let services = try #require(answer["services"] as? [[String: Any]])
        #expect(services.count == 7)
        let offline = try await lockstep("list", "--offline")
        let built = try object(try await lockstep("list", "--offline", "--json").output)
        #expect((built["services"] as? [[String: Any]])?.contains { $0["name"] as? String == "lockstep.auth.v1.AuthService" } == true)
        #expect(offline.output.contains("lockstep.auth.v1.AuthService/CreateSession"))
    }

    @Test func whoDoesNotHostAMethodIsSaid() async throws {
        let call = try await lockstep("call", "JWTService/JWKS", "--target", "auth")
        let text = "auth does not host lockstep.encryption.v1.JWTService: encryption does"
        #expect(call.status == 64 && call.errors.contains(text), "\(call.errors)")
    }

    @Test func outputThatCannotBeWrittenIsAFailure() async throws {
        let full = try await system.shell("exec \"$LOCKSTEP\" list --offline > /dev/full")
        #expect(full.status == 73 && full.errors.contains("cannot be written"), "\(full.errors)")
        let reader = try await system.shell("\"$LOCKSTEP\" list --offline | head -1")
        #expect(reader.status == 0 && reader.errors.isEmpty, "\(reader.errors)")
    }

    @Test func whoeverIsNotThereIsNamed() async throws {
        let gone = try await lockstep("list", "--target", "auth@127.0.0.1:1")
        #expect(gone.status == 75)
        #expect(gone.errors.contains("auth at 127.0.0.1:1 does not answer"), "\(gone.errors)")
        #expect(gone.errors.contains("--offline"))
        let wrong = try await lockstep("list", "--target", "nobody")
        #expect(wrong.status == 64 && wrong.errors.contains("NAME@host:port"), "\(wrong.errors)")
    }

    @Test func describeTellsAllOfAMethod() async throws {
        let hash = try await lockstep("describe", "PasswordService/Hash")
        try #require(hash.status == 0, "\(hash.errors)")
        for text in ["SYNC, POOL", "callers", "auth", "0x", "password = 1", "class: SECRET"] {
            #expect(hash.output.contains(text), "\(text) is not in\n\(hash.output)")
        }
        // What a message holds is told too, once, and how a batch is read.
        let batch = try await lockstep("describe", "EncryptionService/BatchEncrypt")
        #expect(batch.output.contains("reads its request in place"), "\(batch.output)")
        #expect(batch.output.contains("\n  lockstep.encryption.v1.EncryptItem\n"), "\(batch.output)")
        #expect(batch.output.contains("plaintext = "), "\(batch.output)")
        let service = try await lockstep("describe", "lockstep.auth.v1.AuthService", "--json")
        #expect(try object(service.output)["execution"] as? String == "ASYNC")
        let typo = try await lockstep("describe", "PasswordService/Hush")
        #expect(typo.status == 64 && typo.errors.contains("Did you mean PasswordService/Hash?"), "\(typo.errors)")
    }

    @Test func benchPrintsWhatCame() async throws {
        let health = try await lockstep(
            "bench", "HealthService/Check", "--target", "auth", "--duration", "300ms", "--connections", "2",
            "--concurrency", "4", "--json")
        try #require(health.status == 0, "\(health.errors)")
        let answer = try object(health.output)
        #expect(try #require(answer["calls"] as? Int) > 0)
        #expect(answer["failed"] as? Int == 0)
        let times = try #require(answer["latency_us"] as? [String: Double])
        #expect(Set(times.keys) == ["p50", "p90", "p99", "p99.9", "max"])
        let open = try await lockstep(
            "bench", "JWTService/JWKS", "--cert", "gateway", "--duration", "300ms", "--rate", "100")
        #expect(open.status == 0 && open.output.contains("p99.9"), "\(open.errors)\(open.output)")
    }

    @Test func benchRefusesWhatIsNotMeant() async throws {
        let stranger = try await lockstep("bench", "PasswordService/Hash", "-d", #"{"password":"long enough for all"}"#)
        #expect(stranger.status == 77 && stranger.errors.contains("auth may: give --cert"), "\(stranger.errors)")
        let change = try await lockstep("bench", "EmailService/Send", "--cert", "auth")
        #expect(change.status == 64 && change.errors.contains("--changes"), "\(change.errors)")
        let wrong = try await lockstep("bench", "JWTService/JWKS", "--cert", "gateway", "-d", #"{"nobody":1}"#)
        #expect(wrong.status == 65 && wrong.errors.contains("processed: no"), "\(wrong.errors)")
        let stream = try await lockstep("bench", "HealthWatchService/Watch", "--target", "auth")
        #expect(stream.status == 64 && stream.errors.contains("server-streaming"), "\(stream.errors)")
    }

    @Test(arguments: RunningSystem.services)
    func adminShowsEachProcess(service: String) async throws {
        let system = try system
        let answer = try await lockstep("admin", "--target", service, "--json")
        try #require(answer.status == 0, "\(answer.errors)")
        let process = try object(answer.output)
        #expect(process["process"] as? String == service)
        #expect(process["pid"] as? Int == (try system.pid(of: service)).map(Int.init))
        #expect((process["pool"] != nil) == (service == "encryption"))
        let connections = try await lockstep("admin", "connections", "--target", service)
        #expect(connections.status == 0 && connections.output.contains("operator"), "\(connections.output)")
        let calls = try await lockstep("admin", "calls", "--target", service)
        #expect(calls.output.contains("lockstep.runtime.v1.AdminService/ListCalls"), "\(calls.output)")
        for question in ["connections", "calls"] {
            let line = try await lockstep("admin", question, "--target", service, "--json")
            let answer = try object(line.output)
            #expect(answer["process"] as? String == service && answer[question] is [Any], "\(line.output)")
        }
        let text = try await lockstep("admin", "--target", service)
        #expect(text.output.contains("event loop 0"), "\(text.output)")
    }

    /// 66, and in words: what there is none of, and where those that there are can be seen.
    @Test(arguments: [
        ["keys", "describe", "nokey"], ["keys", "rotate", "nokey"], ["keys", "destroy", "nokey", "--days", "7"],
        ["clients", "rotate", "cli_none"], ["clients", "remove", "cli_none"], ["users", "grant", "nobody@example.org", "admin"],
    ])
    func namesThatThereAreNot(command: [String]) async throws {
        let missing = try await lockstep(command)
        #expect(missing.status == 66 && missing.output.isEmpty, "\(missing.status)")
        #expect(missing.errors.hasPrefix("lockstep: There is no "), "\(missing.errors)")
        #expect(missing.errors.contains(command[0] == "users" ? "registers first" : "`lockstep \(command[0])"), "\(missing.errors)")
        #expect(missing.errors.split(separator: "\n").count == 1, "\(missing.errors)")
    }

    @Test func keysAreTheOperatorsAlone() async throws {
        let refused = try await lockstep("keys", "rotate", "token-vault", "--cert", "token")
        #expect(refused.status == 77)
        #expect(refused.errors == "lockstep: token may not ask; the operator's certificate may.\n")
        let nobody = try await lockstep("users", "audit", "--event", "no_such_event")
        #expect(nobody.status == 0 && nobody.output == "Nothing with \"no_such_event\" is recorded.\n", "\(nobody.output)")
    }

    @Test(arguments: ["gateway", "auth", "token", "email"])
    func adminIsTheOperatorsAlone(cert: String) async throws {
        let refused = try await lockstep("admin", "--target", "auth", "--cert", cert)
        #expect(refused.status == 77 && refused.errors.contains("the operator's certificate may"), "\(refused.errors)")
    }

    @Test func theOutsideReachesNoneOfIt() async throws {
        let system = try system
        for path in ["/lockstep.runtime.v1.ReflectionService/ListServices", "/v1/reflection", "/v1/admin"] {
            for verb in ["GET", "POST"] {
                let answer = try await system.curl(path, verb, json: verb == "POST" ? "{}" : nil)
                #expect(answer.status == 404, "\(verb) \(path)")
            }
        }
        let document = try await system.curl("/openapi.json").body
        #expect(!document.contains("lockstep.runtime") && !document.contains("HostedMethod"))
    }

    @Test func aStreamIsALineForEachMessage() async throws {
        let watch = try await lockstep("call", "HealthWatchService/Watch", "--target", "auth", "--timeout", "1s")
        let first = try #require(watch.output.split(separator: "\n").first, "\(watch.errors)")
        let health = try #require(try object(String(first))["health"] as? [String: Any])
        #expect(health["state"] as? String == "SERVING" && health["service"] as? String == "auth")
        #expect(watch.status == 75 && watch.errors.contains("DEADLINE_EXCEEDED"), "\(watch.errors)")
    }
}
