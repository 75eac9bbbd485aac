import Foundation
@testable import lockstep
import NIOCore
import NIOPosix
import RPCCore
import ServiceKit
import Testing
import TestSupport

@Suite struct CommandTests {
    @Test func anErrorIsShownWithAllThatHelps() {
        var error = RPCError(
            .invalidArgument, "The request is not valid: email.", reason: "invalid_request",
            violations: [FieldViolation(field: "email", message: "This is no address.")], processed: .no)
        error.timeline = CallTimeline(waitedForConnection: .milliseconds(3), waitedFor: "connection refused")
        let report = CallReport(error: error)
        #expect(report.status == 65)
        #expect(
            report.lines == [
                "INVALID_ARGUMENT (invalid_request): The request is not valid: email.", "  email: This is no address.",
                "  processed: no", "  time: waited for a connection 3.0 ms", "  waited for: connection refused",
            ])
    }

    @Test(arguments: StatusCode.allCases)
    func everyErrorHasAStatusThatIsNotSuccess(code: StatusCode) {
        #expect((CallReport(error: RPCError(code, "")).status == 0) == (code == .ok))
    }

    @Test("What is too large is the request's fault, and no later time's") func tooLarge() {
        #expect(CallReport(error: RPCError(.resourceExhausted, "", reason: "request_too_large")).status == 65)
        #expect(CallReport(error: RPCError(.resourceExhausted, "", reason: "busy")).status == 75)
    }

    @Test func namesAreColouredOnATerminalOnly() {
        func line(_ environment: [String: String], isTerminal: Bool) -> String {
            let console = Console(names: ["auth", "gateway"], environment: environment, isTerminal: isTerminal)
            return String(decoding: console.rendered("auth", Array("up\u{1B}[2J".utf8)), as: UTF8.self)
        }
        #expect(line([:], isTerminal: false) == "auth     | up?[2J")
        #expect(line(["NO_COLOR": "1"], isTerminal: true) == "auth     | up?[2J")
        #expect(line(["NO_COLOR": ""], isTerminal: true) == "\u{1B}[36mauth     |\u{1B}[0m up?[2J")
    }

    @Test func aRequestComesFromTextOrFile() throws {
        let directory = try TemporaryDirectory()
        try "{\"a\":1}".write(toFile: directory.path("request.json"), atomically: true, encoding: .utf8)
        #expect(try RequestData.read(nil) == [])
        #expect(try RequestData.read("{}") == Array("{}".utf8))
        #expect(try RequestData.read("@" + directory.path("request.json")) == Array("{\"a\":1}".utf8))
        #expect(throws: CommandFailure.self) { try RequestData.read("@" + directory.path("missing.json")) }
    }

    @Test func oneUpForEachState() throws {
        let directory = try TemporaryDirectory()
        do {
            let first = try StateLock(directory: directory.path(""))
            let failure = #expect(throws: CommandFailure.self) { try StateLock(directory: directory.path("")) }
            #expect(failure?.description.contains("running already") == true)
            withExtendedLifetime(first) {}
        }
        _ = try StateLock(directory: directory.path(""))
    }

    @Test func aFreshFolderIsToldWhatComesFirst() throws {
        let directory = try TemporaryDirectory()
        let failure = #expect(throws: CommandFailure.self) { try StateLock(directory: directory.path("fresh")) }
        #expect(failure?.status == 78 && failure?.description.contains("`lockstep certs` makes a new one") == true)
        #expect(!FileManager.default.fileExists(atPath: directory.path("fresh")))
    }

    @Test func aTargetIsFoundByMethodNameOrAddress() throws {
        let settings = try settings(["LOCKSTEP_PEERS_ENCRYPTION": "127.0.0.1:9"])
        let byMethod = try CallTarget(method: "PasswordService/Verify", target: nil, settings: settings)
        #expect(byMethod.process == .encryption)
        #expect(byMethod.location.configText.hasSuffix(":9"))
        let byName = try CallTarget(method: "HealthService/Check", target: "email", settings: settings)
        #expect(byName.process == .email)
        let byAddress = try CallTarget(method: "PasswordService/Verify", target: "[::1]:7", settings: settings)
        #expect(byAddress.process == .encryption)
        #expect(byAddress.location == PeerLocation("[::1]:7"))
        let byBoth = try CallTarget(method: "HealthService/Check", target: "token@127.0.0.1:8", settings: settings)
        #expect(byBoth.process == .token)
        #expect(byBoth.location == PeerLocation("127.0.0.1:8"))
    }

    @Test(arguments: [
        ("PasswordService/Verfy", nil, "Did you mean PasswordService/Verify?"), ("HealthService/Check", nil, "--target"),
        ("PasswordService/Verify", "gateway", "HTTPS"), ("PasswordService/Verify", "nowhere", "host:port"),
        ("HealthService/Check", "127.0.0.1:7", "NAME@host:port"), ("HealthService/Check", "nobody@127.0.0.1:7", "NAME@host:port"),
        ("HealthService/Check", "auth@nowhere", "NAME@host:port"), ("HealthService/Check", "@", "NAME@host:port"),
    ] as [(String, String?, String)])
    func aWrongTargetSaysWhatToWrite(method: String, target: String?, expected: String) throws {
        let settings = try settings([:])
        let failure = try #require(throws: CommandFailure.self) {
            try CallTarget(method: method, target: target, settings: settings)
        }
        #expect(failure.description.contains(expected))
        #expect(failure.status == 64)
    }

    @Test("`up` refuses before it starts anything where somebody listens already")
    func aPlaceThatIsTakenIsNamedWithItsSetting() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let other = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(other.localAddress?.port)
        func places(_ environment: [String: String]) throws -> ListenPlaces {
            // Whatever else runs on this machine: any port that is free, but for the one in question.
            let keys = ServiceName.allCases.flatMap { ["\($0.rawValue)_LISTEN", "\($0.rawValue)_METRICS"] } + ["gateway_OPERATIONS"]
            let free = Dictionary(uniqueKeysWithValues: keys.map { ("LOCKSTEP_\($0.uppercased())", "127.0.0.1:0") })
            return try settings(free.merging(environment) { $1 }).listenPlaces
        }
        for (variable, key) in [
            ("LOCKSTEP_GATEWAY_LISTEN", "gateway.listen"), ("LOCKSTEP_GATEWAY_OPERATIONS", "gateway.operations"),
            ("LOCKSTEP_TOKEN_LISTEN", "token.listen"), ("LOCKSTEP_EMAIL_METRICS", "email.metrics"),
        ] {
            let taken = try places([variable: "127.0.0.1:\(port)"])
            let failure = await #expect(throws: CommandFailure.self) { try await taken.requireFree() }
            #expect(failure?.status == 75 && failure?.description.contains(": 127.0.0.1:\(port) (\(key)). Stop it") == true)
        }
        try await places(["LOCKSTEP_AUTH_METRICS": "off"]).requireFree()
        try await other.close()
        // The port as the near end of a connection to elsewhere, which will be gone by and by.
        let elsewhere = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let near = try await ClientBootstrap(group: group).bind(to: SocketAddress(ipAddress: "127.0.0.1", port: port))
            .connect(to: try #require(elsewhere.localAddress)).get()
        try await places(["LOCKSTEP_GATEWAY_LISTEN": "127.0.0.1:\(port)"]).requireFree()
        try await near.close()
        try await elsewhere.close()
        try await places(["LOCKSTEP_GATEWAY_LISTEN": "127.0.0.1:\(port)"]).requireFree()
    }

    @Test("`up` gives a service as long to stop as configuration lets it drain")
    func stopLimitFollowsTheLongestDrain() throws {
        let usual = try settings([:]).stopLimit
        #expect(usual == ProcessLimits.stop(drainGrace: .seconds(10)))
        let patient = try settings(["LOCKSTEP_TOKEN_DRAIN_GRACE": "120s"]).stopLimit
        #expect(patient == usual + .seconds(110))
    }

    private func settings(_ environment: [String: String]) throws -> OperatorSettings {
        try OperatorSettings(environment: environment.merging(["LOCKSTEP_STATE": "/nonexistent"]) { $1 })
    }
}
