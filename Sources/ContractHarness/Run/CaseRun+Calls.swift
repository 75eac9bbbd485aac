import Crypto
import Foundation

// Calls through a client: the one under test, or the reference.
extension CaseRun {
    func performCall(_ verb: String, _ fields: inout JSONFields) async throws {
        switch verb {
        case "call":
            let (limit, expected) = (try limit(&fields), fields.value("expect"))
            let verify = fields.value("verify") != .bool(false)
            let started = try await begin(fields.value("call"), within: limit)
            try check(try await started.task.value, started.command, expected, verify)
        case "start":
            let label = try fields.string("start") ?? ""
            calls[label] = try await begin(fields.value("call"), within: try limit(&fields, default: 60_000))
        case "await":
            let label = try fields.string("await") ?? ""
            guard let started = calls[label] else { throw CaseError("no call was started as \(label)") }
            let (limit, expected) = (try limit(&fields), fields.value("expect"))
            let verify = fields.value("verify") != .bool(false)
            let result = try await within(limit, orFail: StepFailure("the call has no result within \(limit)")) {
                try await started.task.value
            }
            try check(result, started.command, expected, verify)
        case "cancel":
            let label = try fields.string("cancel") ?? ""
            guard let id = calls[label]?.id else { throw CaseError("no call was started as \(label)") }
            _ = try await stage.client.send(.cancelCall(.with { $0.call = id }))
        case "close_channel":
            let (name, limit) = (try fields.string("close_channel") ?? "main", try limit(&fields))
            try await closeChannel(channelName(name), within: limit, grace: try fields.int("grace_ms") ?? 0)
        default: try await performMany(&fields)
        }
    }

    /// `{"repeat": 1000, "call": {...}, "jitter_ms": 300, "expect": {...}}`: at once, each with a payload of its own.
    private func performMany(_ fields: inout JSONFields) async throws {
        let (count, jitter) = (try fields.int("repeat") ?? 1, try fields.int("jitter_ms") ?? 0)
        let (limit, expected) = (try limit(&fields, default: 30_000), fields.value("expect"))
        let template = try command(fields.value("call"))
        try await ensureChannel(template.channel)
        var commands: [ConformanceCall] = []
        for index in 0..<count {
            var call = template
            if call.sends.first?.payload.isEmpty == true { call.sends[0].payload = Data("call \(index)".utf8) }
            if jitter > 0 { call.plan.delayMs = UInt32.random(in: 0...UInt32(jitter), using: &random) }
            commands.append(call)
        }
        let results = try await Self.makeAll(commands, stage.client, within: limit)
        for (call, result) in zip(commands, results) { try check(result, call, expected, true) }
    }

    private static func makeAll(
        _ calls: [ConformanceCall], _ client: any PeerLink, within limit: Duration
    ) async throws -> [ConformanceCallResult] {
        let tasks = calls.map { task($0, CommandID.next(), client, within: limit) }
        var results: [ConformanceCallResult] = []
        for task in tasks { results.append(try await task.value) }
        return results
    }

    func begin(_ value: JSONValue?, within limit: Duration) async throws -> StartedCall {
        let call = try command(value)
        try await ensureChannel(call.channel)
        let (client, id) = (stage.client, CommandID.next())
        return StartedCall(command: call, id: id, task: Self.task(call, id, client, within: limit))
    }

    private static func task(
        _ call: ConformanceCall, _ id: UInt64, _ client: any PeerLink, within limit: Duration
    ) -> Task<ConformanceCallResult, any Error> {
        Task { try await CaseRun.make(call, id, client, within: limit) }
    }

    private static func make(
        _ call: ConformanceCall, _ id: UInt64, _ client: any PeerLink, within limit: Duration
    ) async throws -> ConformanceCallResult {
        guard case .callResult(let result) = try await client.send(.call(call), id: id, within: limit) else {
            throw StepFailure("the peer answers `call` with something else")
        }
        return result
    }

    // MARK: What the case says

    /// As in control.proto, with two conveniences: `text` beside `payload` and `value`, and `encoded` for a request of
    /// exactly so many bytes.
    private func command(_ value: JSONValue?) throws -> ConformanceCall {
        guard var members = value?.object else { throw CaseError("\(testCase.name): a call without members") }
        let sizes = (members["sends"]?.array ?? []).map { $0.object?["encoded"]?.int }
        members["sends"] = try members["sends"].map { try Self.texts($0, as: "payload") }
        members["metadata"] = try members["metadata"].map { try Self.texts($0, as: "value") }
        var call = try ConformanceCall(json: .object(members))
        for (index, size) in sizes.enumerated() {
            guard let size else { continue }
            let plan = index == 0 && call.hasPlan ? call.plan.json : nil
            call.sends[index].payload = try ConformanceRequest.padded(to: size, plan: plan).payload
        }
        call.channel = channelName(call.channel.isEmpty ? "main" : call.channel)
        if call.sends.isEmpty, call.method != .clientStream, call.method != .bidi { call.sends = [ConformanceSend()] }
        return call
    }

    private static func texts(_ value: JSONValue, as name: String) throws -> JSONValue {
        .array(
            (value.array ?? []).map { item in
                guard var members = item.object else { return item }
                members["encoded"] = nil
                if let text = members.removeValue(forKey: "text")?.string {
                    members[name] = .string(Data(text.utf8).base64EncodedString())
                }
                return .object(members)
            })
    }

    // MARK: Channels

    private func channelName(_ name: String) -> String { "\(tag)/\(role.rawValue)/\(name)" }

    private func ensureChannel(_ name: String) async throws {
        guard !channels.contains(name) else { return }
        let target: ConformanceServerReady
        if let endpoint { target = endpoint } else { target = try await stage.server(testCase).ready }
        var settings = try JSONFields(testCase.channel, in: "\(testCase.name): channel")
        let certificate = try settings.string("certificate") ?? "operator"
        let service = try settings.string("service") ?? "conformance"
        let open = try ConformanceOpenChannel.with { open in
            open.name = name
            open.service = service
            open.endpoints = [
                .with {
                    $0.host = target.host
                    $0.port = target.port
                }
            ]
            open.credentials =
                testCase.rotates && role == .client
                ? try stage.authority.ownCredentials(certificate, of: stage.owner(testCase))
                : try stage.authority.credentials(certificate)
            if let limits = settings.value("limits") { open.limits = try ConformanceLimits(json: limits) }
            if let timers = settings.value("timers") { open.timers = try ConformanceTimers(json: timers) }
        }
        try settings.finish()
        _ = try await stage.client.send(.openChannel(open))
        channels.insert(name)
    }

    func closeChannel(_ name: String, within limit: Duration, grace: Int = 0) async throws {
        guard channels.remove(name) != nil else { return }
        let close = ConformanceCloseChannel.with {
            $0.name = name
            $0.graceMs = UInt32(clamping: grace)
        }
        _ = try await stage.client.send(.closeChannel(close), within: limit)
    }

    // MARK: Results

    private func check(
        _ result: ConformanceCallResult, _ call: ConformanceCall, _ expected: JSONValue?, _ verify: Bool
    ) throws {
        var json = result.json
        if var members = json.object, let seen = members["responses"]?.array?.first?.object?["seen"] {
            members["seen"] = seen
            json = .object(members)
        }
        note("result: \(json.text.prefix(600))")
        if let found = JSONMatch.mismatch(json, expected ?? .object(["code": .int(0)])) {
            throw StepFailure("\(found); the result: \(Self.short(result))")
        }
        if result.code == 0, verify { try Self.checkPayloads(result, call) }
    }

    private static func short(_ result: ConformanceCallResult) -> String {
        "code \(result.code)\(result.message.isEmpty ? "" : " (\(result.message))"), processed \(result.processed), "
            + "\(result.responseCount) responses"
    }

    /// A call that went well has brought exactly what its plan asked for.
    private static func checkPayloads(_ result: ConformanceCallResult, _ call: ConformanceCall) throws {
        let expected = payloads(of: call)
        guard result.responseCount == expected.count else {
            throw StepFailure("\(result.responseCount) responses came, \(expected.count) were due")
        }
        var digest = SHA256()
        for payload in expected { digest.update(data: payload) }
        guard result.sha256 == Data(digest.finalize()) else {
            throw StepFailure("the responses' bytes are not what was asked for")
        }
    }

    private static func payloads(of call: ConformanceCall) -> [Data] {
        let requests = call.sends.flatMap { repeatElement($0, count: Int(max($0.times, 1))) }.enumerated().map {
            $1.size > 0 ? ConformancePayload.bytes($0, size: Int($1.size)) : $1.payload
        }
        let streams = call.method == .serverStream || call.method == .bidi
        guard streams else {
            if call.plan.echo { return [requests.reduce(Data(), +)] }
            return [ConformancePayload.bytes(0, size: Int(call.plan.sizes.first ?? 0))]
        }
        if call.plan.echo { return requests }
        return repeatElement(call.plan.sizes, count: Int(max(call.plan.rounds, 1))).joined().enumerated().map {
            ConformancePayload.bytes($0, size: Int($1))
        }
    }
}
