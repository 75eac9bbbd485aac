import Foundation

// Good frames with a few bytes changed, by the run's seed: what must not end the implementation under test.
extension CaseRun {
    /// `{"fuzz": 100, "corpus": [[frames], ...]}`: so many connections, each with one of the corpus, changed.
    func fuzz(_ verb: String, _ fields: inout JSONFields) async throws {
        let (rounds, corpus) = (try fields.int(verb) ?? 1, try fields.list("corpus"))
        var samples: [[UInt8]] = []
        for frames in corpus {
            var bytes: [UInt8] = []
            for frame in frames.array ?? [] { bytes += try RawFields.encode(frame) }
            samples.append(bytes)
        }
        for round in 0..<rounds {
            guard let sample = samples.randomElement(using: &random) else { return }
            let bytes = Self.changed(sample, using: &random)
            note("round \(round): \(Hex.text(bytes).prefix(400))")
            if verb == "fuzz" { try await fuzzServer(bytes) } else { try await fuzzClient(bytes, round) }
        }
    }

    private func fuzzServer(_ bytes: [UInt8]) async throws {
        let server = try await stage.server(testCase).ready
        let connection = try await RawEndpoint.connect(
            host: server.host, port: Int(server.port),
            tls: RawTLS(files: try stage.authority.credentials(stage.caller)),
            isSilent: true)
        _ = try await Self.frame(of: .hello, on: connection, until: deadline, skipping: [])
        connection.sendSoon(RawFrame(.hello, payload: Self.plainHello).bytes + bytes)
        // Some of it is answered, some is not: either way the server has had its time.
        _ = await connection.inbox.next(until: .now.advanced(by: .milliseconds(20)))
        await connection.reset()
    }

    private func fuzzClient(_ bytes: [UInt8], _ round: Int) async throws {
        let listener = RawListener()
        let greeting = try RawFields.encode(.object(["type": .string("HELLO"), "max_concurrent_calls": .int(10)]))
        let tls = RawTLS(files: try stage.authority.credentials("conformance"))
        let port = try await listener.start(tls: tls, greeting: greeting, isSilent: true)
        endpoint = .with {
            $0.host = "127.0.0.1"
            $0.port = UInt32(clamping: port)
        }
        let call = JSONValue.object([
            "method": .string("UNARY"), "channel": .string("fuzz \(round)"), "timeout_us": .int(20_000_000),
            "fail_fast": .bool(true),
        ])
        let started = try await begin(call, within: .seconds(60))
        let connection = try await listener.next(until: deadline)
        _ = try await Self.frame(of: .call, on: connection, until: deadline, skipping: [.hello])
        connection.sendSoon(bytes)
        _ = await connection.inbox.next(until: .now.advanced(by: .milliseconds(20)))
        await connection.reset()
        // However it ended, it ended.
        _ = try await started.task.value
        await listener.close()
    }

    /// One to four changes: a bit, a byte, a byte more or less, a piece twice.
    private static func changed(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
            case 3: bytes.remove(at: index)
            default: bytes.insert(contentsOf: bytes[index...].prefix(16), at: index)
            }
        }
        return bytes
    }
}
