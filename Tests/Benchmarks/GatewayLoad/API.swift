import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// An answer that is no success.
struct Refusal: Error, CustomStringConvertible {
    let status: Int
    let code: String
    /// Seconds after which it may be tried again; nil when the answer does not say.
    let retryAfter: Int?

    var description: String { "\(status) \(code)" }
}

/// The gateway, as a client of its JSON.
struct API: Sendable {
    /// How long a request may take before it counts as lost.
    static let timeout = TimeAmount.seconds(30)
    /// Bytes of the largest answer.
    static let largestAnswer = 1 << 20

    private let client: HTTPClient
    private let url: String
    private let loop: any EventLoop

    init(url: String, authorityFile: String, _ group: any EventLoopGroup) throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        if !authorityFile.isEmpty { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorityFile)) }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        // Users do not share connections.
        configuration.httpVersion = .http1Only
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
        self.client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
        self.url = url
        self.loop = group.next()
    }

    /// Waits on the load's own loop: a timer of another thread is late where all cores compute, and what is counted from when it
    /// was due would count that, too.
    func pause(until due: ContinuousClock.Instant) async {
        let left = ContinuousClock.now.duration(to: due).components
        let nanoseconds = left.seconds * 1_000_000_000 + left.attoseconds / 1_000_000_000
        try? await loop.scheduleTask(in: .nanoseconds(max(0, nanoseconds))) {}.futureResult.get()
    }

    func shutdown() async throws { try await client.shutdown() }

    /// - Parameter address: Whom a proxy in front of the gateway would name as the client.
    /// - Throws: `Refusal` for an answer that is no success.
    @discardableResult
    func send(
        _ verb: String, _ path: String, token: String? = nil, from address: String? = nil, _ fields: [String: String]? = nil
    ) async throws -> [String: JSONField] {
        var request = HTTPClientRequest(url: url + path)
        request.method = .init(rawValue: verb)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let address { request.headers.add(name: "X-Forwarded-For", value: address) }
        if let fields {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(fields)))
        }
        let response = try await client.execute(request, timeout: Self.timeout)
        let body = try await response.body.collect(upTo: Self.largestAnswer)
        let answer = (try? JSONDecoder().decode([String: JSONField].self, from: Data(body.readableBytesView))) ?? [:]
        guard (200..<300).contains(response.status.code) else {
            throw Refusal(
                status: Int(response.status.code), code: answer["code"]?.text ?? "",
                retryAfter: response.headers.first(name: "Retry-After").flatMap { Int($0) })
        }
        return answer
    }
}

/// Tries again what is refused for now, when the refusal says; for what is to be there before anything is measured.
func patiently<Value>(_ body: () async throws -> Value) async throws -> Value {
    while true {
        do {
            return try await body()
        } catch let refusal as Refusal {
            guard let pause = refusal.retryAfter else { throw refusal }
            try await Task.sleep(for: .seconds(pause))
        }
    }
}

/// A member of an answer: its text where it is text.
struct JSONField: Decodable, Sendable {
    let text: String

    init(from decoder: any Decoder) throws {
        text = (try? decoder.singleValueContainer().decode(String.self)) ?? ""
    }
}
