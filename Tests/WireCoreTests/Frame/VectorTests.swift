import Foundation
import NIOCore
import Testing

@testable import WireCore

/// The golden vectors in `Protocols/vectors`: what another implementation must agree with.
struct VectorTests {
    @Test(arguments: try Vectors.load("frames", as: FrameVector.self))
    func frame(_ vector: FrameVector) throws {
        let bytes = try Vectors.bytes(vector.hex)
        var decoder = FrameDecoder(maxFrameSize: 65_536)
        if bytes.getInteger(at: 4, as: UInt8.self) != FrameType.hello.rawValue {
            _ = decodeAll(helloBytes(.server), &decoder)
        }
        let decoded = decodeAll(bytes, &decoder)
        try #require(decoded.count == 1)
        let fields = try JSONSerialization.jsonObject(with: JSONEncoder().encode(vector.frame)) as? NSDictionary
        #expect(fields == VectorFields.of(decoded[0]) as NSDictionary)
        if let encoded = VectorFields.encode(decoded[0]) { #expect(encoded == bytes) }
    }

    @Test(arguments: try Vectors.load("server", as: ConnectionVector.self), Feeding.allCases)
    func server(_ vector: ConnectionVector, _ feeding: Feeding) throws {
        let server = try TestServer(vector.wireLimits, peer: nil, acceptsStreams: vector.streams ?? false)
        server.pull()
        for bytes in feeding.cut(try vector.receive.map(Vectors.bytes)) { server.receive(bytes) }
        let expect = vector.expect
        if let open = expect.open { #expect(server.isClosed == !open) }
        if let close = expect.close { #expect(server.goodbye.map { [$0.code.rawValue, $0.rule] } == close) }
        if let calls = expect.calls { #expect(server.calls.map(\.id.rawValue) == calls) }
        if let messages = expect.messages { #expect(server.messages.map(VectorFields.hex) == messages) }
        if let status = expect.status { #expect(server.statusTriples == status) }
        if let sent = expect.sent { #expect(VectorFields.hex(server.sent.dropFirst()) == sent) }
        #expect(server.closedCount == (server.isClosed ? 1 : 0))
    }

    @Test(arguments: try Vectors.load("client", as: ConnectionVector.self), Feeding.allCases)
    func client(_ vector: ConnectionVector, _ feeding: Feeding) throws {
        let client = try TestClient(vector.wireLimits, peer: nil)
        client.pull()
        var receive = try vector.receive.map(Vectors.bytes)
        let calls = vector.start ?? 0
        if calls > 0 { client.receive(receive.removeFirst()) }
        let kind = try #require(WireCallKind(rawValue: vector.kind ?? 0))
        for _ in 0..<calls { try client.start(kind: kind) }
        for bytes in feeding.cut(receive) { client.receive(bytes) }
        let expect = vector.expect
        if let open = expect.open { #expect(client.isClosed == !open) }
        if let close = expect.close { #expect(client.goodbye.map { [$0.code.rawValue, $0.rule] } == close) }
        if let messages = expect.messages { #expect(client.messages.map(VectorFields.hex) == messages) }
        if let results = expect.results { #expect(client.resultTriples == results) }
        if let sent = expect.sent { #expect(VectorFields.hex(client.sent.dropFirst(1 + calls)) == sent) }
        #expect(client.closedCount == (client.isClosed ? 1 : 0))
    }

    @Test func everyRuleNamedByAVectorIsInTheText() throws {
        let text = try String(
            contentsOf: Vectors.folder.deletingLastPathComponent().appending(path: "WIRE.md"), encoding: .utf8)
        let rules =
            try Vectors.load("frames", as: FrameVector.self).map(\.rule)
            + Vectors.load("server", as: ConnectionVector.self).map(\.rule)
            + Vectors.load("client", as: ConnectionVector.self).map(\.rule)
            + Vectors.load("streams", as: Conversation.self).map(\.rule)
        #expect(rules.count >= 60)
        for rule in Set(rules) { #expect(text.contains("**\(rule)**"), "\(rule)") }
    }
}

/// How the same bytes arrive.
enum Feeding: CaseIterable {
    case asWritten
    case byteByByte
    case allAtOnce

    func cut(_ chunks: [ByteBuffer]) -> [ByteBuffer] {
        let all = chunks.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        switch self {
        case .asWritten: return chunks
        case .byteByByte: return all.readableBytesView.map { ByteBuffer(bytes: [$0]) }
        // Junk around the reader's window shows indices taken from the wrong end.
        case .allAtOnce:
            var padded = ByteBuffer(repeating: 0xAA, count: 5)
            padded.writeImmutableBuffer(all)
            padded.writeRepeatingByte(0xAA, count: 5)
            return padded.getSlice(at: 5, length: all.readableBytes).map { [$0] } ?? []
        }
    }
}

enum Vectors {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Protocols/vectors")

    static func load<Vector: Decodable>(_ name: String, as type: Vector.Type) throws -> [Vector] {
        try JSONDecoder().decode([Vector].self, from: Data(contentsOf: folder.appending(path: "\(name).json")))
    }

    /// The default limits with a vector's changes.
    static func limits(_ changes: [String: UInt32]?) -> WireLimits {
        .defaults { changed in
            for (name, value) in changes ?? [:] {
                switch name {
                case "max_concurrent_calls": changed.maxConcurrentCalls = value
                case "max_message_size": changed.maxMessageSize = value
                case "max_metadata_size": changed.maxMetadataSize = value
                case "max_reassembly": changed.maxReassembly = value
                case "call_credit": changed.callCredit = value
                case "connection_credit": changed.connectionCredit = value
                case "late_frames": changed.floods.lateFrames = value
                default: Issue.record("a vector changes \(name), which is no limit")
                }
            }
        }
    }

    static func bytes(_ hex: String) throws -> ByteBuffer {
        let digits = Array(hex.utf8)
        var buffer = ByteBuffer()
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            buffer.writeInteger(try #require(UInt8(pair, radix: 16)))
        }
        return buffer
    }
}

struct ConnectionVector: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var rule: String
    var receive: [String]
    var limits: [String: UInt32]?
    var start: Int?
    /// The kind of the calls of `start`.
    var kind: UInt8?
    /// Whether the server accepts streams.
    var streams: Bool?
    var expect: Expectation

    struct Expectation: Decodable, Sendable {
        var open: Bool?
        var close: [UInt16]?
        var calls: [UInt32]?
        var messages: [String]?
        var status: [[UInt32]]?
        var results: [[UInt32]]?
        var sent: String?
    }

    var testDescription: String { "\(rule) \(name)" }

    var wireLimits: WireLimits { Vectors.limits(limits) }
}

struct FrameVector: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var rule: String
    var hex: String
    var frame: [String: Field]

    var testDescription: String { "\(rule) \(name)" }

    /// A value of a vector's field.
    enum Field: Codable, Sendable {
        case flag(Bool)
        case number(UInt32)
        case text(String)
        case list([[String]])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let flag = try? value.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? value.decode(UInt32.self) {
                self = .number(number)
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else {
                self = .list(try value.decode([[String]].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .flag(let flag): try value.encode(flag)
            case .number(let number): try value.encode(number)
            case .text(let text): try value.encode(text)
            case .list(let list): try value.encode(list)
            }
        }
    }
}
