import Foundation

// The server: the one under test, or the reference.
extension CaseRun {
    func performServer(_ verb: String, _ fields: inout JSONFields) async throws {
        switch verb {
        case "report": try await report(&fields)
        case "drain":
            let grace = try fields.int("drain") ?? 0
            let server = try await stage.server(testCase)
            drain = Task {
                let body = ConformanceDrainServer.with { $0.graceMs = UInt32(clamping: grace) }
                _ = try await server.link.send(.drainServer(body), within: .seconds(60))
            }
        case "await_drain":
            _ = fields.value("await_drain")
            let limit = try limit(&fields)
            guard let drain else { throw CaseError("\(testCase.name): nothing drains") }
            try await within(limit, orFail: StepFailure("the server has not drained within \(limit)")) { try await drain.value }
        default:
            _ = fields.value("alive")
            try await checkAlive()
        }
    }

    /// `{"report": "$tag", "expect": {"running": 0}, "within_ms": 2000}`: waits for the counters to be so.
    private func report(_ fields: inout JSONFields) async throws {
        let tag = try fields.string("report") ?? ""
        let (limit, expected) = (try limit(&fields, default: 5_000), fields.value("expect") ?? .object([:]))
        let server = try await stage.server(testCase)
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            let reply = try await server.link.send(.report(.with { $0.tag = tag }))
            guard case .tally(let tally) = reply else {
                throw StepFailure("the peer answers `report` with something else")
            }
            guard let found = JSONMatch.mismatch(tally.json, expected) else { return }
            guard ContinuousClock.now < deadline else { throw StepFailure("\(found); the tally: \(tally.json.text)") }
            // Counters are asked for; nothing says when they change.
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The implementation under test still does its work.
    private func checkAlive() async throws {
        switch role {
        case .client: _ = try await stage.client.describe()
        case .server:
            let server = try await stage.server(testCase)
            let raw = try await RawEndpoint.connect(
                host: server.ready.host, port: Int(server.ready.port),
                tls: RawTLS(files: try stage.authority.credentials(stage.caller)), isSilent: false)
            _ = try await Self.frame(of: .hello, on: raw, until: deadline, skipping: [])
            try await raw.send(RawFrame(.hello, payload: Self.plainHello).bytes)
            let ping = RawFrame(.ping, payload: [1, 2, 3, 4, 5, 6, 7, 8])
            try await raw.send(ping.bytes)
            _ = try await Self.frame(of: .pong, on: raw, until: deadline, skipping: [.credit])
            await raw.reset()
        }
    }

    static var plainHello: [UInt8] {
        Array(((try? RawFields.encode(.object(["type": .string("HELLO")]))) ?? []).dropFirst(RawFrame.headerSize))
    }
}
