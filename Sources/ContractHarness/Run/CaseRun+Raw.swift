import Foundation

// The raw peer: frames as the script says.
extension CaseRun {
    func performRaw(_ verb: String, _ fields: inout JSONFields) async throws {
        switch verb {
        case "connect": try await connect(&fields)
        case "listen": try await listen(&fields)
        case "accept": try await accept(&fields)
        case "expect_connections": try expectConnections(&fields)
        case "send": try await send(&fields)
        case "drip": try await drip(&fields)
        case "expect_frame": try await expectFrame(&fields)
        case "expect_frames": try await expectFrames(&fields)
        case "expect_close": try await expectClose(&fields)
        case "expect_refused": try await expectRefused(&fields)
        case "expect_quiet_ms": try await expectQuiet(&fields)
        case "expect_spent_ms": try await expectSpent(&fields)
        case "expect_no_frames": try await expectNoFrames(&fields)
        case "expect_text": try await expectText(&fields)
        case "ping": try await ping(&fields)
        default: try await misbehave(verb, &fields)
        }
    }

    func connection(_ fields: inout JSONFields) throws -> RawConnection {
        try connection(named: try fields.string("on") ?? "p")
    }

    func connection(named name: String) throws -> RawConnection {
        guard let connection = connections[name] else { throw CaseError("there is no connection \(name)") }
        return connection
    }

    private func misbehave(_ verb: String, _ fields: inout JSONFields) async throws {
        let connection = try connection(named: try fields.string(verb) ?? "p")
        switch verb {
        case "half_close": try await connection.halfClose()
        case "hang_up": await connection.close()
        case "reset": await connection.reset()
        case "pause_reading": await connection.setReading(false)
        default: await connection.setReading(true)
        }
    }

    // MARK: Connecting

    private func tls(_ fields: inout JSONFields, _ certificate: String) throws -> RawTLS? {
        let name = try fields.string("certificate") ?? certificate
        let plain = try fields.bool("plain")
        let alpn = fields.has("alpn") ? try fields.strings("alpn") : ["lockstep/1"]
        let version = try fields.string("tls") ?? "1.3"
        if plain { return nil }
        return RawTLS(
            files: try stage.authority.credentials(name == "none" ? certificate : name),
            showsCertificate: name != "none", alpn: alpn, version: version,
            // For a client that rotates to certificates of that authority.
            alsoBelieves: [stage.authority.strangerFile])
    }

    /// `{"connect": "p", "hello": {...} | false, "certificate": "operator", ...}` to the server under test.
    private func connect(_ fields: inout JSONFields) async throws {
        let name = try fields.string("connect") ?? "p"
        let isSilent = try fields.bool("silent")
        let greets = fields.value("hello") ?? .object([:])
        let tls = try tls(&fields, stage.caller)
        let buffer = try fields.int("receive_buffer")
        let server = try await stage.server(testCase).ready
        let connection = try await RawEndpoint.connect(
            host: server.host, port: Int(server.port), tls: tls, isSilent: isSilent, receiveBuffer: buffer)
        connections[name] = connection
        guard greets != .bool(false) else { return }
        _ = try await Self.frame(of: .hello, on: connection, until: deadline, skipping: [])
        var members = greets.object ?? [:]
        members["type"] = .string("HELLO")
        try await connection.send(try RawFields.encode(.object(members)))
    }

    /// `{"listen": "p", ...}`: where the client under test will find its server.
    private func listen(_ fields: inout JSONFields) async throws {
        let name = try fields.string("listen") ?? "p"
        let listener = RawListener()
        let isSilent = try fields.bool("silent")
        var greeting: [UInt8] = []
        switch fields.value("hello") {
        case .bool(false)?: break
        case let value:
            var members = value?.object ?? [:]
            members["type"] = .string("HELLO")
            if members["max_concurrent_calls"] == nil { members["max_concurrent_calls"] = .int(1024) }
            greeting = try RawFields.encode(.object(members))
        }
        let tls = try tls(&fields, "conformance")
        let isClosed = try fields.bool("closed")
        let buffer = try fields.int("receive_buffer")
        let port = try await listener.start(
            tls: tls, greeting: greeting, isSilent: isSilent, receiveBuffer: buffer)
        if isClosed { await listener.close() }
        await listeners.updateValue(listener, forKey: name)?.close()
        endpoint = .with {
            $0.host = "127.0.0.1"
            $0.port = UInt32(clamping: port)
        }
    }

    private func listener(_ name: String) throws -> RawListener {
        guard let listener = listeners[name] else { throw CaseError("nobody listens as \(name)") }
        return listener
    }

    /// `{"accept": "p"}`: the client's next connection, once its HELLO has come.
    private func accept(_ fields: inout JSONFields) async throws {
        let name = try fields.string("accept") ?? "p"
        let (source, expectsHello) = (try fields.string("from") ?? "p", fields.value("hello") != .bool(false))
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        let connection = try await listener(source).next(until: deadline)
        connections[name] = connection
        if expectsHello { _ = try await Self.frame(of: .hello, on: connection, until: deadline, skipping: []) }
    }

    private func expectConnections(_ fields: inout JSONFields) throws {
        let expected = fields.value("expect_connections") ?? .int(0)
        let name = try fields.string("from") ?? "p"
        if let found = JSONMatch.mismatch(.int(try listener(name).count), expected, at: "the number of connections") {
            throw StepFailure(found)
        }
    }

    // MARK: Sending

    /// `{"send": [frames], "times": 1000}`; `$n` is which time it is.
    private func send(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let frames = fields.value("send") ?? .null
        let list = frames.array ?? [frames]
        let (times, first) = (try fields.int("times") ?? 1, try fields.int("first") ?? 1)
        let mayFail = try fields.bool("may_fail")
        var bytes: [UInt8] = []
        for turn in 0..<times {
            for frame in list {
                bytes += try RawFields.encode(times > 1 ? frame.substituting(["n": .int(first + turn)]) : frame)
            }
            if bytes.count > 1 << 18 || turn == times - 1 {
                if mayFail { connection.sendSoon(bytes) } else { try await connection.send(bytes) }
                bytes = []
            }
        }
    }

    /// `{"drip": [frames], "every_ms": 100}`: a byte at a time, until all is sent or the peer has had enough.
    private func drip(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let frames = fields.value("drip") ?? .null
        let pause = Duration.milliseconds(try fields.int("every_ms") ?? 100)
        for frame in frames.array ?? [frames] {
            for byte in try RawFields.encode(frame) {
                guard !connection.inbox.hasEnded, connection.channel.isActive else { return }
                connection.sendSoon([byte])
                try await Task.sleep(for: pause)
            }
        }
    }
}
