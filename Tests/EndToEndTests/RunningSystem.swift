import Foundation
import TestSupport
import Testing

/// The five services and a real OAuth provider, started as a user starts them, on free ports, in a folder of their own.
final class RunningSystem: Sendable {
    /// The gateway's RPC listener, among the ports.
    static let operations = "gateway.operations"
    static let services = ["encryption", "email", "auth", "token", "gateway"]

    let state: URL
    let binaries: URL
    let python: URL
    let ports: [String: Int]
    /// Where each service shows its metrics.
    let metrics: [String: Int]
    /// Every line that the services wrote, for the search after planted secrets.
    let log: URL
    private let supervisor: Process
    private let provider: Process

    var url: String { "https://127.0.0.1:\(ports["gateway"] ?? 0)" }

    private init(
        state: URL, binaries: URL, python: URL, ports: [String: Int], metrics: [String: Int], log: URL,
        supervisor: Process, provider: Process
    ) {
        self.state = state
        self.binaries = binaries
        self.python = python
        self.ports = ports
        self.metrics = metrics
        self.log = log
        self.supervisor = supervisor
        self.provider = provider
    }

    /// The process that started the five.
    var supervisorID: Int32 { supervisor.processIdentifier }

    /// Whether a process of this user may leave a core file at all.
    static var hasRoomForCores: Bool {
        var room = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &room)
        return room.rlim_max > 0
    }

    /// Lets what is started from here leave core files, small ones: so a test sees that the services forbid it themselves.
    private static func makeRoomForCores() {
        var room = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &room)
        room.rlim_cur = max(room.rlim_cur, min(room.rlim_max, 4096))
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &room)
    }

    /// Makes certificates, starts the provider and the five, and waits until the gateway says that it is ready.
    ///
    /// - Parameter settings: environment values that the five are to have beside.
    static func start(settings: [String: String] = [:]) async throws -> RunningSystem {
        let state = FileManager.default.temporaryDirectory.appending(path: "lockstep-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
        let free = try freePorts(services.count * 2 + 1)
        let ports = Dictionary(uniqueKeysWithValues: zip(services + [operations], free))
        let metrics = Dictionary(uniqueKeysWithValues: zip(services, free.dropFirst(services.count + 1)))
        let file = try configuration(ports, metrics: metrics)
        try file.write(to: state.appending(path: "config.json"), atomically: true, encoding: .utf8)
        let lockstep = Places.binaries.appending(path: "lockstep")
        let made = try await run(lockstep, ["certs", "--state", state.path])
        try #require(made.status == 0, "lockstep certs: \(made.errors)")
        let provider = try await startProvider(state: state)
        let log = state.appending(path: "services.log")
        try Data().write(to: log)
        let supervisor = Process()
        supervisor.executableURL = lockstep
        supervisor.arguments = ["up", "--state", state.path, "--bin", Places.binaries.path]
        supervisor.environment = ProcessInfo.processInfo.environment
            .merging(["LOCKSTEP_CONFIG": state.appending(path: "config.json").path]) { $1 }
            .merging(settings) { $1 }
        let sink = try FileHandle(forWritingTo: log)
        supervisor.standardOutput = sink
        supervisor.standardError = sink
        makeRoomForCores()
        try supervisor.run()
        let system = RunningSystem(
            state: state, binaries: Places.binaries, python: Places.python, ports: ports, metrics: metrics, log: log,
            supervisor: supervisor, provider: provider)
        do { try await system.waitUntilReady() } catch {
            system.stop()
            throw error
        }
        return system
    }

    func stop() {
        supervisor.terminate()
        supervisor.waitUntilExit()
        // Children of a test process inherit its blocked signals, and SIGTERM is one of them.
        kill(provider.processIdentifier, SIGKILL)
        provider.waitUntilExit()
        try? FileManager.default.removeItem(at: state)
    }

    func waitUntilReady() async throws {
        let ready: Bool? = try await eventually(within: .seconds(60)) { [self] in
            try await curl("/readyz").status == 200 ? true : nil
        }
        try #require(ready == true, "not ready after 60 s:\n\(logText.suffix(4000))")
    }

    var logText: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// The process id that the supervisor wrote for a service.
    func pid(of service: String) throws -> Int32? {
        let file = state.appending(path: "run/\(service).pid")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    func lockstep(_ arguments: [String], input: String = "") async throws -> Finished {
        try await run(
            binaries.appending(path: "lockstep"), arguments,
            environment: ["LOCKSTEP_CONFIG": state.appending(path: "config.json").path], input: input)
    }

    /// A line of the shell, in which `$LOCKSTEP` is the program.
    func shell(_ line: String) async throws -> Finished {
        try await run(
            URL(filePath: "/bin/sh"), ["-c", line], environment: ["LOCKSTEP": binaries.appending(path: "lockstep").path])
    }

    /// The walk of `make demo`, with a password of the caller's choice.
    func walk(address: String, password: String) async throws -> Finished {
        try await run(
            python,
            [Places.walk.path, "--url", url, "--state", state.path, "--address", address],
            environment: ["WALK_PASSWORD": password])
    }

    private static func startProvider(state: URL) async throws -> Process {
        let process = Process()
        process.executableURL = Places.python
        process.arguments = [
            Places.provider.path, "start", "--port", "0", "--dir", state.appending(path: "provider").path,
            "--providers", state.appending(path: "providers.json").path,
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let written: Bool? = try await eventually(within: .seconds(60)) {
            FileManager.default.fileExists(atPath: state.appending(path: "providers.json").path) ? true : nil
        }
        try #require(written == true, "the OAuth provider did not start: is it installed? `make deps` installs it")
        return process
    }
}

/// Where the test finds what it starts.
enum Places {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    /// Beside the running test bundle.
    static let binaries = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    static let walk = root.appending(path: "Tests/Walk/walk.py")
    static let provider = root.appending(path: "Tests/Support/oauth-provider/provider.py")
    /// The interpreter that has the provider's packages: `make test` names it.
    static let python = URL(fileURLWithPath: Python.interpreter)
}

/// Starts one system for all tests of a suite and stops it behind them.
struct SystemTrait: SuiteTrait, TestScoping {
    @TaskLocal static var current: RunningSystem?

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
        async throws
    {
        let system = try await RunningSystem.start()
        defer { system.stop() }
        try await Self.$current.withValue(system) { try await body() }
    }
}

extension SuiteTrait where Self == SystemTrait {
    /// The five services run while the suite's tests do.
    static var runningSystem: Self { SystemTrait() }
}
