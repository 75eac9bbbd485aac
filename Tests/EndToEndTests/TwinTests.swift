import Foundation
import TestSupport
import Testing

/// A second auth and a second gateway beside the first, on one PostgreSQL: which of them is asked makes no difference.
@Suite(.serialized, .timeLimit(.minutes(5))) struct TwinTests {
    private static let password = "canary-horse-battery-\(UInt32.random(in: 1_000_000...9_999_999))"

    /// Soon: another auth process is seen within 200 ms, and a request takes its time on a busy machine.
    private func isRefused(_ token: String, by twins: Twins, _ system: RunningSystem) async throws -> Bool {
        let refused: Bool? = try await eventually(within: .seconds(2)) {
            try await system.curl("/v1/users/me", token: token, via: twins.gateway).status == 401 ? true : nil
        }
        return refused == true
    }

    @Test("ASVS 7.4.1, RFC 9700 4.14: two auth processes and two gateways behave as one")
    func twoAreOne() async throws {
        let postgres = try await PostgresServer()
        let settings = ["LOCKSTEP_DATABASE_URL": postgres.sharedURL]
        let system = try await RunningSystem.start(settings: settings)
        defer { system.stop() }
        let twins = try Twins(system, settings)
        defer { twins.stop() }
        try await twins.waitUntilReady(system)
        let address = try await system.account(password: Self.password)
        let session = try await system.signIn(address, password: Self.password)
        try #require(session.status == 201, "\(session.body)")

        // A token that one issued is good at the other.
        let there = try await system.curl("/v1/users/me", token: session["access_token"], via: twins.gateway)
        #expect(there.status == 200)

        // One refresh token, asked for at both at once, has one successor.
        let token = session["refresh_token"]
        let refreshed = try await withThrowingTaskGroup(of: Answer.self) { group in
            for index in 0..<20 {
                group.addTask {
                    try await system.curl(
                        "/v1/tokens", "POST", json: #"{"refresh_token":"\#(token)"}"#, via: index % 2 == 0 ? nil : twins.gateway)
                }
            }
            return try await group.reduce(into: [Answer]()) { $0.append($1) }
        }
        #expect(refreshed.map(\.status) == Array(repeating: 201, count: 20), "\(refreshed.map(\.body))")
        #expect(Set(refreshed.map { $0["refresh_token"] }).count == 1)
        let access = try #require(refreshed.first)["access_token"]

        // What ends at one has ended at the other, as soon as its feed says so.
        let ended = try await system.curl("/v1/sessions/current", "DELETE", token: access)
        #expect(ended.status == 204)
        #expect(try await isRefused(access, by: twins, system), "the other gateway takes the token of an ended session")

        // So does what ends by a breach: asked for at the first auth, it holds at the gateway of the second.
        let signedIn = try await system.signIn(address, password: Self.password)
        let before = signedIn["access_token"]
        #expect(try await system.curl("/v1/users/me", token: before, via: twins.gateway).status == 200)
        let raised = try await system.lockstep(["users", "end-sessions", "--everyone", "--state", system.state.path])
        #expect(raised.status == 0, "\(raised.output)\(raised.errors)")
        #expect(try await isRefused(before, by: twins, system), "the other gateway takes a token from before the breach")
        let again = try await system.curl(
            "/v1/tokens", "POST", json: #"{"refresh_token":"\#(signedIn["refresh_token"])"}"#, via: twins.gateway)
        #expect(again.status == 401, "\(again.body)")
        let fresh = try await system.signIn(address, password: Self.password)
        #expect(try await system.curl("/v1/users/me", token: fresh["access_token"], via: twins.gateway).status == 200)
    }
}

/// The second auth and the second gateway, which asks it.
private final class Twins: Sendable {
    let gateway: Int
    private let processes: [Process]

    init(_ system: RunningSystem, _ settings: [String: String]) throws {
        let ports = try freePorts(5)
        gateway = ports[0]
        let shared = settings.merging([
            "LOCKSTEP_STATE": system.state.path, "LOCKSTEP_CONFIG": system.state.appending(path: "config.json").path,
        ]) { $1 }
        let own = [
            "auth": ["LOCKSTEP_AUTH_LISTEN": "127.0.0.1:\(ports[1])", "LOCKSTEP_AUTH_METRICS": "127.0.0.1:\(ports[2])"],
            "gateway": [
                "LOCKSTEP_GATEWAY_LISTEN": "127.0.0.1:\(ports[0])", "LOCKSTEP_GATEWAY_OPERATIONS": "127.0.0.1:\(ports[3])",
                "LOCKSTEP_GATEWAY_METRICS": "127.0.0.1:\(ports[4])", "LOCKSTEP_PEERS_AUTH": "127.0.0.1:\(ports[1])",
            ],
        ]
        processes = try own.map { service, variables in
            let process = Process()
            process.executableURL = system.binaries.appending(path: service)
            process.environment = ProcessInfo.processInfo.environment.merging(shared) { $1 }.merging(variables) { $1 }
            let sink = try FileHandle(forWritingTo: system.log)
            try sink.seekToEnd()
            process.standardOutput = sink
            process.standardError = sink
            try process.run()
            return process
        }
    }

    func waitUntilReady(_ system: RunningSystem) async throws {
        let ready: Bool? = try await eventually(within: .seconds(60)) {
            try await system.curl("/readyz", via: self.gateway).status == 200 ? true : nil
        }
        try #require(ready == true, "the second gateway is not ready:\n\(system.logText.suffix(4000))")
    }

    /// Children of a test process inherit its blocked signals, and SIGTERM is one of them.
    func stop() {
        for process in processes {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }
}
