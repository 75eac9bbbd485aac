import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import ServiceLifecycle
import Testing

@testable import GatewayService

/// The real HTTPS listener on a free port, its background work, and clients.
struct LiveGateway: Sendable {
    let test: TestBackend
    let port: Int
    let http1: HTTPClient
    let http2: HTTPClient
    let certificate: TestCertificate

    /// Runs `body` against a gateway whose feed is fresh and whose keys are loaded.
    static func run(
        _ settings: GatewayBackend.Settings = TestBackend.unlimited, limits: HTTPLimits = HTTPLimits(),
        _ body: @Sendable (LiveGateway) async throws -> Void
    ) async throws {
        let test = try TestBackend(settings)
        let certificate = try TestCertificate()
        let (ports, running) = AsyncStream.makeStream(of: Int.self)
        let server = GatewayServer(
            gateway: test.backend.gateway, tls: certificate.serverConfiguration, host: "127.0.0.1", port: 0,
            limits: limits, logger: Self.quiet, onRunning: { running.yield($0) })
        let group = ServiceGroup(services: test.backend.background + [server], logger: Self.quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let live = try LiveGateway(test, port, certificate)
            do {
                try await live.awaitReady()
                try await body(live)
            } catch {
                await live.stop(group)
                throw error
            }
            await live.stop(group)
        }
    }

    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private init(_ test: TestBackend, _ port: Int, _ certificate: TestCertificate) throws {
        self.test = test
        self.port = port
        self.certificate = certificate
        http1 = HTTPClient(configuration: try certificate.clientConfiguration(.http1Only))
        http2 = HTTPClient(configuration: try certificate.clientConfiguration(.automatic))
    }

    private func stop(_ group: ServiceGroup) async {
        try? await http1.shutdown()
        try? await http2.shutdown()
        await group.triggerGracefulShutdown()
    }

    /// Waits for the first keys and the first answer of the feed: signals, not time, make them come.
    private func awaitReady() async throws {
        try await test.backend.keys.refresh()
        while !test.backend.revocations.isFresh(now: test.time.time.now) { await Task.yield() }
    }
}

/// An answer, read whole.
struct Answer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]
    let version: HTTPVersion

    var json: JSONValue? { try? JSONReader.read(body) }
    /// The fields that a problem names.
    var fields: [String] {
        guard case .array(let errors)? = json?["errors"] else { return [] }
        return errors.compactMap { if case .string(let field)? = $0["field"] { field } else { nil } }
    }
}

enum HTTPKind: String, Sendable, CaseIterable {
    case http1, http2
}

extension LiveGateway {
    func send(
        _ verb: String, _ path: String, token: String? = nil, json: String? = nil,
        headers: [(String, String)] = [], over kind: HTTPKind = .http1
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: "https://localhost:\(port)\(path)")
        request.method = HTTPMethod(rawValue: verb)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let json {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: json))
        }
        for (name, _) in headers { request.headers.remove(name: name) }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        let client = kind == .http1 ? http1 : http2
        let response = try await client.execute(request, timeout: .seconds(30))
        let body = try await response.body.collect(upTo: 1 << 20)
        return Answer(
            status: Int(response.status.code), headers: response.headers, body: Array(body.readableBytesView),
            version: response.version)
    }

    /// Checks that an answer is a problem in every respect.
    func expectProblem(
        _ answer: Answer, _ status: Int, _ code: String, fields: [String]? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == status, sourceLocation: sourceLocation)
        #expect(answer.headers["content-type"] == ["application/problem+json"], sourceLocation: sourceLocation)
        #expect(answer.headers["cache-control"] == ["no-store"], sourceLocation: sourceLocation)
        #expect(answer.headers["x-content-type-options"] == ["nosniff"], sourceLocation: sourceLocation)
        let json = answer.json
        #expect(json?["code"] == .string(code), sourceLocation: sourceLocation)
        #expect(json?["status"] == .number(String(status)), sourceLocation: sourceLocation)
        #expect(json?["type"] == .string(Problem.typePrefix + code), sourceLocation: sourceLocation)
        #expect(json?["title"] == .string(HTTPStatus.title(of: status)), sourceLocation: sourceLocation)
        #expect(json?["detail"] != nil, sourceLocation: sourceLocation)
        let requestID = answer.headers["x-request-id"].first ?? ""
        #expect(json?["request_id"] == .string(requestID), sourceLocation: sourceLocation)
        if let fields { #expect(answer.fields == fields, sourceLocation: sourceLocation) }
        if status == 401 { #expect(answer.headers["www-authenticate"].count == 1, sourceLocation: sourceLocation) }
        if [429, 503].contains(status) {
            #expect(Int(answer.headers["retry-after"].first ?? "") ?? 0 >= 1, sourceLocation: sourceLocation)
        }
    }
}
