import Foundation

// What the raw peer must see.
extension CaseRun {
    /// The next frame of the type, whatever of `skipping` comes before it.
    static func frame(
        of kind: RawFrame.Kind, on connection: RawConnection, until deadline: ContinuousClock.Instant,
        skipping: Set<RawFrame.Kind>
    ) async throws -> RawFrame {
        while true {
            switch await connection.inbox.next(until: deadline) {
            case nil: throw StepFailure("no \(kind.name) came in time")
            case .end(let why)?:
                throw StepFailure("the connection ended before \(kind.name) came\(why.map { ": \($0)" } ?? "")")
            case .frame(let frame)? where frame.kind == kind: return frame
            case .frame(let frame)?:
                guard let other = frame.kind, skipping.contains(other) else {
                    throw StepFailure("\(frame.summary) came instead of \(kind.name)")
                }
            }
        }
    }

    /// `{"expect_frame": {"type": "STATUS", "code": "OK"}, "within_ms": 1000, "skip": ["MSG"]}`
    func expectFrame(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        guard let expected = fields.value("expect_frame"), let name = expected.object?["type"]?.string,
            let kind = RawFrame.Kind(name: name)
        else { throw CaseError("\(testCase.name): expect_frame needs a type") }
        var skipping: Set<RawFrame.Kind> = [.credit, .ping]
        for name in try fields.strings("skip") { if let kind = RawFrame.Kind(name: name) { skipping.insert(kind) } }
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        let frame = try await Self.frame(
            of: kind, on: connection, until: deadline, skipping: skipping.subtracting([kind]))
        note("received \(frame.summary)")
        let found = JSONMatch.mismatch(.object(try RawFields.decode(frame)), expected)
        if let found { throw StepFailure("\(found) in \(frame.summary)") }
    }

    /// `{"expect_frames": 64, "type": "STATUS", "each": {...}, "distinct": true}`: so many, in any order of calls.
    func expectFrames(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        guard let kind = RawFrame.Kind(name: try fields.string("type") ?? "STATUS") else {
            throw CaseError("\(testCase.name): frames of which type?")
        }
        let (count, each) = (try fields.int("expect_frames") ?? 1, fields.value("each") ?? .object([:]))
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 10_000))
        var ids: Set<UInt32> = []
        for _ in 0..<count {
            let frame = try await Self.frame(
                of: kind, on: connection, until: deadline,
                skipping: Set([.credit, .ping, .message]).subtracting([kind]))
            let found = JSONMatch.mismatch(.object(try RawFields.decode(frame)), each)
            if let found { throw StepFailure("\(found) in \(frame.summary)") }
            if kind == .status, !ids.insert(frame.call).inserted { throw StepFailure("a second \(frame.summary)") }
        }
    }

    /// `{"expect_close": {"code": "PROTOCOL_ERROR", "rule": 20}}`: GOODBYE and then the end of the transport.
    func expectClose(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let expected = fields.value("expect_close") ?? .object([:])
        let strict = try fields.bool("strict")
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        var goodbye: JSONValue?
        while true {
            switch await connection.inbox.next(until: deadline) {
            case nil: throw StepFailure("the connection is still open\(goodbye == nil ? "" : ", after GOODBYE")")
            case .frame(let frame)? where frame.kind == .goodbye:
                note("received \(frame.summary)")
                goodbye = .object(try RawFields.decode(frame))
            case .frame(let frame)?:
                if goodbye != nil { throw StepFailure("\(frame.summary) came after GOODBYE") }
                if strict { throw StepFailure("\(frame.summary) came instead of GOODBYE") }
            case .end(let why)?:
                guard expected != .object([:]) else { return }
                guard let goodbye else {
                    throw StepFailure("the connection ended without GOODBYE\(why.map { ": \($0)" } ?? "")")
                }
                if let found = JSONMatch.mismatch(goodbye, expected) {
                    throw StepFailure("\(found) in \(goodbye.text)")
                }
                return
            }
        }
    }

    /// `{"expect_refused": "p"}`: the end of the transport, and not one frame before it.
    func expectRefused(_ fields: inout JSONFields) async throws {
        let connection = try connection(named: try fields.string("expect_refused") ?? "p")
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        switch await connection.inbox.next(until: deadline) {
        case nil: throw StepFailure("the connection is still open")
        case .frame(let frame)?: throw StepFailure("\(frame.summary) came: the connection was not refused")
        case .end?: return
        }
    }

    /// `{"expect_quiet_ms": 200}`: nothing comes, apart from CREDIT and PING and what `skip` names.
    func expectQuiet(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let limit = Duration.milliseconds(try fields.int("expect_quiet_ms") ?? 100)
        // A silent script answers no PING, so that it can look for one.
        let skipped = Set(try fields.strings("skip") + ["CREDIT"] + (connection.isSilent ? [] : ["PING"]))
        let deadline = ContinuousClock.now.advanced(by: limit)
        while let item = await connection.inbox.next(until: deadline) {
            switch item {
            case .end(let why): throw StepFailure("the connection ended\(why.map { ": \($0)" } ?? "")")
            case .frame(let frame):
                guard let name = frame.kind?.name, skipped.contains(name) else {
                    throw StepFailure("\(frame.summary) came")
                }
            }
        }
    }

    /// `{"expect_spent_ms": 400, "at_least": 8000, "at_most": 16384}`: message bytes that come, and 32 for each message
    /// (W-55). Once the least has come, it looks so long for more.
    func expectSpent(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let limit = Duration.milliseconds(try fields.int("expect_spent_ms") ?? 100)
        let (least, most) = (try fields.int("at_least") ?? 0, try fields.int("at_most") ?? 0)
        let patient = self.deadline
        var quiet = ContinuousClock.now.advanced(by: limit)
        var spent = 0
        while let item = await connection.inbox.next(until: spent < least ? patient : quiet) {
            guard case .frame(let frame) = item else { throw StepFailure("the connection ended") }
            guard frame.kind == .message else { continue }
            spent += frame.payload.count + (frame.hasMessage ? 32 - 4 : 0)
            if spent >= least, spent - frame.payload.count < least { quiet = .now.advanced(by: limit) }
        }
        guard (least...most).contains(spent) else {
            throw StepFailure("\(spent) bytes of credit were spent, not \(least) to \(most)")
        }
    }

    /// `{"expect_no_frames": "p"}`: whatever comes, it is not this protocol.
    func expectNoFrames(_ fields: inout JSONFields) async throws {
        let connection = try connection(named: try fields.string("expect_no_frames") ?? "p")
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 500))
        while case .frame(let frame)? = await connection.inbox.next(until: deadline) {
            if frame.kind != nil { throw StepFailure("\(frame.summary) came") }
        }
    }

    /// `{"expect_text": "HTTP/1.1 200"}`: an answer in another protocol that begins so.
    func expectText(_ fields: inout JSONFields) async throws {
        let connection = try connection(&fields)
        let expected = try fields.string("expect_text") ?? ""
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        guard case .frame(let frame)? = await connection.inbox.next(until: deadline) else {
            throw StepFailure("no answer came")
        }
        let text = String(decoding: frame.payload.prefix(200), as: UTF8.self)
        guard text.hasPrefix(expected) else { throw StepFailure("\(text.debugDescription) came") }
    }

    /// `{"ping": "p", "before_bytes": 1000000}`: PING and its PONG, before so many bytes of messages. The connection lives.
    func ping(_ fields: inout JSONFields) async throws {
        let connection = try connection(named: try fields.string("ping") ?? "p")
        let value = UInt64.random(in: 0...UInt64.max, using: &random)
        var skipping: Set<RawFrame.Kind> = [.credit, .ping]
        for name in try fields.strings("skip") { if let kind = RawFrame.Kind(name: name) { skipping.insert(kind) } }
        let deadline = ContinuousClock.now.advanced(by: try limit(&fields, default: 5_000))
        var writer = ByteWriter()
        writer.write(value)
        let (most, earlier) = (try fields.int("before_bytes") ?? .max, connection.traffic.messageBytes)
        try await connection.send(RawFrame(.ping, payload: writer.bytes).bytes)
        let pong = try await Self.frame(of: .pong, on: connection, until: deadline, skipping: skipping)
        guard pong.payload == writer.bytes else { throw StepFailure("PONG has another value than PING") }
        let between = connection.traffic.beforePong - earlier
        note("\(between) bytes of messages came before PONG")
        guard between <= most else { throw StepFailure("\(between) bytes of messages came before PONG, not \(most)") }
    }
}
