import NIOCore
import Testing

@testable import WireCore

/// `vectors/streams.json`: calls that stream, played with a client under test and with a server under test.
struct ConversationTests {
    @Test(arguments: try Vectors.load("streams", as: Conversation.self), Feeding.allCases)
    func atTheClient(_ conversation: Conversation, _ feeding: Feeding) throws {
        let limits = Vectors.limits(conversation.limits)
        let client = try TestClient(limits, peer: limits)
        var sent = ClientEar(client)
        for step in conversation.steps {
            if step.by == .client {
                try step.does.forEach { try Self.apply($0, to: client) }
                client.pull()
                #expect(sent.frames() == step.sends)
                _ = sent.heard()
                try Self.feed(step.back, feeding) { client.receive($0) }
            } else {
                try Self.feed(step.sends, feeding) { client.receive($0) }
                #expect(sent.heard() == step.hears ?? [])
                #expect(sent.frames() == step.back ?? "")
            }
        }
        #expect(client.closure == nil)
    }

    @Test(arguments: try Vectors.load("streams", as: Conversation.self), Feeding.allCases)
    func atTheServer(_ conversation: Conversation, _ feeding: Feeding) throws {
        let limits = Vectors.limits(conversation.limits)
        let server = try TestServer(limits, peer: limits, acceptsStreams: true)
        var sent = ServerEar(server)
        for step in conversation.steps {
            if step.by == .server {
                try step.does.forEach { try Self.apply($0, to: server) }
                server.pull()
                #expect(sent.frames() == step.sends)
                _ = sent.heard()
                try Self.feed(step.back, feeding) { server.receive($0) }
            } else {
                try Self.feed(step.sends, feeding) { server.receive($0) }
                #expect(sent.heard() == step.hears ?? [])
                #expect(sent.frames() == step.back ?? "")
            }
        }
        #expect(server.closure == nil)
    }

    private static func feed(_ hex: String?, _ feeding: Feeding, _ receive: (ByteBuffer) -> Void) throws {
        guard let hex, !hex.isEmpty else { return }
        for bytes in feeding.cut([try Vectors.bytes(hex)]) { receive(bytes) }
    }

    private static func apply(_ wish: [String], to client: TestClient) throws {
        let word = wish.count > 1 ? wish[1] : ""
        switch wish.first {
        case "call":
            let kind = try #require(UInt8(word).flatMap(WireCallKind.init))
            let call = OutgoingCall(method: 1, kind: kind, message: try Vectors.bytes(wish.count > 2 ? wish[2] : ""))
            _ = try client.connection.startCall(call, now: client.now)
        case "send": _ = client.connection.send(1, message: try Vectors.bytes(word))
        case "end": client.connection.finishRequest(1)
        case "take": client.connection.take(1)
        case "cancel": client.connection.cancel(1, now: client.now)
        default: Issue.record("no client can \(wish)")
        }
    }

    private static func apply(_ wish: [String], to server: TestServer) throws {
        let word = wish.count > 1 ? wish[1] : ""
        switch wish.first {
        case "send": _ = server.connection.send(1, message: try Vectors.bytes(word))
        case "take": server.connection.take(1)
        case "finish": server.connection.finish(1)
        case "succeed": server.connection.succeed(1, message: .buffer(try Vectors.bytes(word)))
        case "fail":
            let code = try #require(UInt32(word))
            server.connection.fail(1, with: WireStatus(code: code, processed: .yes))
        default: Issue.record("no server can \(wish)")
        }
    }
}

/// One call, as both applications and the wire see it.
struct Conversation: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var rule: String
    /// Of both sides.
    var limits: [String: UInt32]?
    var steps: [Step]

    var testDescription: String { "\(rule) \(name)" }

    enum Role: String, Decodable, Sendable { case client, server }

    struct Step: Decodable, Sendable {
        var by: Role
        /// What the application wishes.
        var does: [[String]]
        /// The bytes that its side has sent then since its last step.
        var sends: String
        /// What the other application is told.
        var hears: [[String]]?
        /// Bytes of the other side at once, without a wish of its application.
        var back: String?
    }
}

/// What is new since the last look.
private struct ServerEar {
    let server: TestServer
    var seen = (frames: 0, events: 0)

    init(_ server: TestServer) {
        self.server = server
        seen = (server.sent.count, server.events.count)
    }

    mutating func frames() -> String {
        defer { seen.frames = server.sent.count }
        return VectorFields.hex(server.sent.dropFirst(seen.frames))
    }

    mutating func heard() -> [[String]] {
        defer { seen.events = server.events.count }
        return server.events.dropFirst(seen.events).map { event in
            switch event {
            case .call(let call): ["call", String(call.kind.rawValue), VectorFields.hex(call.message)]
            case .message(_, let bytes): ["message", VectorFields.hex(bytes)]
            case .requestEnded: ["end"]
            case .cancelled: ["cancelled"]
            default: ["\(event)"]
            }
        }
    }
}

private struct ClientEar {
    let client: TestClient
    var seen = (frames: 0, events: 0)

    init(_ client: TestClient) {
        self.client = client
        seen = (client.sent.count, client.events.count)
    }

    mutating func frames() -> String {
        defer { seen.frames = client.sent.count }
        return VectorFields.hex(client.sent.dropFirst(seen.frames))
    }

    mutating func heard() -> [[String]] {
        defer { seen.events = client.events.count }
        return client.events.dropFirst(seen.events).map { event in
            switch event {
            case .message(_, let bytes): ["message", VectorFields.hex(bytes)]
            case .ended(_, let result):
                ["result", String(result.status.code), String(result.status.processed.rawValue)]
                    + (result.message.map { [VectorFields.hex($0)] } ?? [])
            default: ["\(event)"]
            }
        }
    }
}
