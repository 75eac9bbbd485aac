import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import Testing

/// What came back from the gateway.
struct Answer: Sendable {
    let status: Int
    let headers: [String: String]
    let body: String

    /// The body as a JSON object; empty when it is none.
    var json: [String: JSONValue] { (try? JSONDecoder().decode([String: JSONValue].self, from: Data(body.utf8))) ?? [:] }

    subscript(name: String) -> String { json[name]?.text ?? "" }
}

/// A JSON value, as far as these tests look.
enum JSONValue: Decodable, Sendable {
    case string(String)
    case number(Double)
    case other

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else {
            self = .other
        }
    }

    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }
}

extension RunningSystem {
    /// One request over HTTPS that trusts the system's own CA. A connection that is refused answers status 0.
    ///
    /// - Parameter gateway: the port of another gateway than the system's own.
    func curl(
        _ path: String, _ verb: String = "GET", json: String? = nil, token: String? = nil, cookie: String? = nil,
        headers: [(String, String)] = [], form: String? = nil, via gateway: Int? = nil
    ) async throws -> Answer {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(state.appending(path: "ca.pem").path)
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.redirectConfiguration = .disallow
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        var request = HTTPClientRequest(url: (gateway.map { "https://127.0.0.1:\($0)" } ?? url) + path)
        request.method = .RAW(value: verb)
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        if let cookie { request.headers.add(name: "cookie", value: cookie) }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let json {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: json))
        }
        if let form {
            request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
            request.body = .bytes(ByteBuffer(string: form))
        }
        let answer: Answer
        do {
            let response = try await client.execute(request, timeout: .seconds(30))
            let body = try await response.body.collect(upTo: 1 << 22)
            answer = Answer(
                status: Int(response.status.code),
                headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { $1 },
                body: String(buffer: body))
        } catch {
            answer = Answer(status: 0, headers: [:], body: "\(error)")
        }
        try await client.shutdown()
        return answer
    }

    /// Registers and confirms an account; answers its address. The password is `password`.
    func account(password: String) async throws -> String {
        let address = "user-\(UUID().uuidString.prefix(8).lowercased())@example.com"
        let registered = try await curl(
            "/v1/users", "POST", json: #"{"email":"\#(address)","password":"\#(password)"}"#)
        try #require(registered.status == 202, "\(registered.body)")
        let token = try #require(try await mailedToken(to: address, about: "confirm"))
        let confirmed = try await curl("/v1/email-verifications", "POST", json: #"{"token":"\#(token)"}"#)
        try #require(confirmed.status == 200, "\(confirmed.body)")
        return address
    }

    func signIn(_ address: String, password: String) async throws -> Answer {
        try await curl("/v1/sessions", "POST", json: #"{"email":"\#(address)","password":"\#(password)"}"#)
    }

    /// The token in a message to `address` whose subject holds `word`, once it has been delivered.
    func mailedToken(to address: String, about word: String) async throws -> String? {
        try await eventually(within: .seconds(20)) { [self] in
            // The folder comes with the first message.
            let outbox = state.appending(path: "outbox").path
            for name in (try? FileManager.default.contentsOfDirectory(atPath: outbox)) ?? [] {
                guard name.hasSuffix(".eml") else { continue }
                let mail = try String(contentsOf: state.appending(path: "outbox/\(name)"), encoding: .utf8)
                let head = mail.components(separatedBy: "\r\n\r\n")[0].lowercased()
                guard head.contains(address), head.contains("subject: "), head.contains(word) else { continue }
                let line = mail.components(separatedBy: "\r\n").first { $0.hasPrefix("Token: ") }
                if let line { return String(line.dropFirst("Token: ".count)) }
            }
            return nil
        }
    }
}
