import Foundation
import Synchronization

/// One case with one implementation under test in one role: carries out the steps, and cleans up behind them.
final class CaseRun {
    let testCase: ContractCase
    let role: ContractRole
    let stage: Stage
    /// Unique to this run of the case: for tags and channels.
    let tag: String
    var variables: [String: JSONValue]
    var random: SeededGenerator
    var connections: [String: RawConnection] = [:]
    var listeners: [String: RawListener] = [:]
    var endpoint: ConformanceServerReady?
    var calls: [String: StartedCall] = [:]
    var channels: Set<String> = []
    var drain: Task<Void, any Error>?
    /// What happened, for the report of a failure.
    var trace: [String] = []
    /// The implementation under test, once it is known.
    private var underTest: (any PeerLink)?
    private var memoryAtStart: Int?

    struct StartedCall {
        let command: ConformanceCall
        let id: UInt64
        let task: Task<ConformanceCallResult, any Error>
    }

    private let patience: Int

    init(
        _ testCase: ContractCase, _ role: ContractRole, _ stage: Stage, seed: UInt64, number: Int, patience: Int
    ) {
        self.patience = patience
        self.testCase = testCase
        self.role = role
        self.stage = stage
        underTest = role == .client ? stage.client : nil
        tag = "\(testCase.name)-\(number)"
        variables = stage.variables.merging(["tag": .string(tag)]) { $1 }
        random = SeededGenerator(seed: seed)
    }

    func run() async throws {
        if role == .server {
            let server = try await stage.server(testCase)
            underTest = server.link
            variables["host"] = .string(server.ready.host)
            variables["port"] = .int(Int(server.ready.port))
        }
        memoryAtStart = residentMegabytes
        for value in testCase.steps { try await perform(value) }
    }

    func cleanUp() async {
        for call in calls.values { call.task.cancel() }
        for connection in connections.values { await connection.reset() }
        for listener in listeners.values { await listener.close() }
        for channel in channels { try? await closeChannel(channel, within: .seconds(10)) }
        drain?.cancel()
    }

    // MARK: Steps

    func perform(_ value: JSONValue) async throws {
        // The steps of a loop are filled in when their turn comes.
        let isLoop = value.object?["for"] != nil
        let step = try Step(isLoop ? value : value.substituting(currentVariables(value)), in: testCase.name)
        note(step.value)
        var fields = try JSONFields(step.value, in: "\(testCase.name): \(step.verb)")
        do {
            try await perform(step.verb, &fields)
            try fields.finish()
        } catch let failure as StepFailure {
            throw StepFailure("\(step.verb)\(label(step)): \(failure)")
        }
    }

    private func label(_ step: Step) -> String {
        step.value.object?[step.verb]?.string.map { " \($0)" } ?? ""
    }

    private func perform(_ verb: String, _ fields: inout JSONFields) async throws {
        switch verb {
        case "for": try await loop(&fields)
        case "start", "repeat", "await", "call", "cancel", "close_channel": try await performCall(verb, &fields)
        case "report", "drain", "await_drain", "alive": try await performServer(verb, &fields)
        case "rotate": try await rotate(&fields)
        case "expect_certificate": try await expectCertificate(&fields)
        case "wait_ms":
            // Time is what such a step tests: a stall, or a pause of the script's own.
            try await Task.sleep(for: .milliseconds(try fields.int("wait_ms") ?? 0))
        case "memory": try checkMemory(&fields)
        case "fuzz", "fuzz_client": try await fuzz(verb, &fields)
        case "log_lacks":
            let word = try fields.string("log_lacks") ?? ""
            if let line = log.first(where: { $0.contains(word) }) {
                throw StepFailure("the peer's log says: \(line)")
            }
        case "set":
            for (name, value) in fields.value("set")?.object ?? [:] { variables[name] = value }
        default: try await performRaw(verb, &fields)
        }
    }

    /// `{"for": {"code": [1, 2], "method": ["UNARY"]}, "do": [...]}`: all combinations.
    private func loop(_ fields: inout JSONFields) async throws {
        let lists = (fields.value("for")?.object ?? [:]).sorted { $0.key < $1.key }
        let steps = try fields.list("do")
        try await loop(lists[...], steps)
    }

    private func loop(_ lists: ArraySlice<(key: String, value: JSONValue)>, _ steps: [JSONValue]) async throws {
        guard let list = lists.first else {
            for step in steps { try await perform(step) }
            return
        }
        for value in try values(list.value) {
            variables[list.key] = value
            try await loop(lists.dropFirst(), steps)
        }
    }

    /// A list, or `{"count": 20}` for 1 to 20.
    private func values(_ value: JSONValue) throws -> [JSONValue] {
        if let list = value.array { return list }
        guard let count = value.object?["count"]?.int else { throw CaseError("\(testCase.name): for what?") }
        return (0..<count).map { .int($0 + 1) }
    }

    /// Variables, and the ids of the CALLs that came on the step's connection: `$call1`, `$call2`, `$last`.
    private func currentVariables(_ step: JSONValue) -> [String: JSONValue] {
        let ids = connections[step.object?["on"]?.string ?? "p"]?.callIDs ?? []
        var all = variables
        for (index, id) in ids.enumerated() { all["call\(index + 1)"] = .int(Int(id)) }
        if let last = ids.last { all["last"] = .int(Int(last)) }
        return all
    }

    // MARK: Odds and ends

    func note(_ value: JSONValue) {
        let text = value.text
        note(text.count > 400 ? "\(text.prefix(400)) ..." : text)
    }

    func note(_ line: String) {
        trace.append(line)
        if trace.count > 60 { trace.removeFirst(trace.count - 60) }
    }

    /// How long to wait for something to come.
    func limit(_ fields: inout JSONFields, default millis: Int = 10_000) throws -> Duration {
        .milliseconds((try fields.int("within_ms") ?? millis) * patience)
    }

    /// The end of such a wait, where the case has no say.
    var deadline: ContinuousClock.Instant { .now.advanced(by: .seconds(5 * patience)) }

    /// What the implementation under test has written on standard error.
    var log: [String] { (underTest as? ChildPeer)?.log ?? [] }

    private var residentMegabytes: Int? {
        guard let pid = underTest?.pid,
            let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = line.split(separator: " ").dropFirst().compactMap({ Int($0) }).first
        else { return nil }
        return kilobytes / 1024
    }

    /// `{"memory": {"growth_mb": 64}}`: of the process under test since the case began, at most.
    private func checkMemory(_ fields: inout JSONFields) throws {
        var limits = try JSONFields(fields.value("memory") ?? .null, in: "memory")
        let limit = try limits.int("growth_mb") ?? 64
        try limits.finish()
        guard let now = residentMegabytes, let before = memoryAtStart else { return }
        note("memory: \(before) MiB at first, \(now) MiB now")
        guard now - before <= limit else {
            throw StepFailure("the peer's memory grew by \(now - before) MiB, \(limit) MiB are allowed")
        }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
