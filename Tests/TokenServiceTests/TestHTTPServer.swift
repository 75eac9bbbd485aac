import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A small HTTP server that answers as a test says and remembers what it was asked.
final class TestHTTPServer: Sendable {
    struct Request: Sendable {
        var path: String
        var headers: [(String, String)]
        var body: String

        /// The fields of a form.
        var form: [String: String] {
            Dictionary(
                body.split(separator: "&").map { pair in
                    let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
                    return (parts[0], parts.count > 1 ? parts[1].removingPercentEncoding ?? "" : "")
                }
            ) { first, _ in first }
        }

        func header(_ name: String) -> String? { headers.first { $0.0.lowercased() == name.lowercased() }?.1 }
    }

    enum Reply: Sendable {
        case answer(Int, headers: [(String, String)] = [], body: String)
        /// No answer, ever.
        case silence
        /// The connection ends without an answer.
        case close
    }

    private let channel: any Channel
    private let state: Received

    fileprivate final class Received: Sendable {
        let requests = Mutex<[Request]>([])
        let answer: @Sendable (Request) async -> Reply

        init(_ answer: @escaping @Sendable (Request) async -> Reply) { self.answer = answer }
    }

    private init(_ channel: any Channel, _ state: Received) {
        self.channel = channel
        self.state = state
    }

    static func start(_ answer: @escaping @Sendable (Request) async -> Reply) async throws -> TestHTTPServer {
        let state = Received(answer)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Answerer(state))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return TestHTTPServer(channel, state)
    }

    var origin: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }
    var requests: [Request] { state.requests.withLock { $0 } }

    func requests(to path: String) -> [Request] { requests.filter { $0.path == path } }

    func stop() async throws { try await channel.close() }
}

private final class Answerer: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: TestHTTPServer.Received
    private var request: TestHTTPServer.Request?

    init(_ state: TestHTTPServer.Received) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let headers = head.headers.map { ($0.name, $0.value) }
            request = TestHTTPServer.Request(path: head.uri, headers: headers, body: "")
        case .body(let buffer): request?.body += String(buffer: buffer)
        case .end:
            guard let request else { return }
            state.requests.withLock { $0.append(request) }
            answer(request, on: context.channel)
        }
    }

    private func answer(_ request: TestHTTPServer.Request, on channel: any Channel) {
        let state = state
        Task { await Answerer.answer(request, state, channel) }
    }

    private static func answer(
        _ request: TestHTTPServer.Request, _ state: TestHTTPServer.Received, _ channel: any Channel
    ) async {
        let reply = await state.answer(request)
        switch reply {
        case .silence: return
        case .close: try? await channel.close()
        case .answer(let status, let headers, let body): try? await write(status, headers, body, to: channel)
        }
    }

    private static func write(
        _ status: Int, _ headers: [(String, String)], _ body: String, to channel: any Channel
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
        head.headers.add(name: "Content-Length", value: "\(body.utf8.count)")
        for (name, value) in headers { head.headers.add(name: name, value: value) }
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: body))), promise: nil)
        try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
    }
}
