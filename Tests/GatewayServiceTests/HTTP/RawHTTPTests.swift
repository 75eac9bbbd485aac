import Testing

@testable import GatewayService

/// What no HTTP client would send.
@Suite(.timeLimit(.minutes(2))) struct RawHTTPTests {
    func exchange(_ pieces: String..., limits: HTTPLimits = HTTPLimits()) async throws -> String {
        let result = Result()
        try await LiveGateway.run(limits: limits) { live in
            await result.set(try await RawConnection.exchange(pieces, with: live))
            #expect(try await live.send("GET", "/healthz").status == 200)
        }
        return await result.text
    }

    actor Result {
        private(set) var text = ""
        func set(_ text: String) { self.text = text }
    }

    /// Status lines and bodies agree that this is a problem.
    func expectProblem(_ text: String, _ status: Int, _ code: String) {
        #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(text.prefix(200))")
        #expect(text.lowercased().contains("content-type: application/problem+json"))
        #expect(text.lowercased().contains("connection: close"))
        #expect(text.contains("\"code\":\"\(code)\""))
    }

    @Test(arguments: [
        "GARBAGE\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "GET /healthz HTTP/1.1\r\nBad Header: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/users HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ])
    func bytesThatAreNotHTTP(text: String) async throws {
        expectProblem(try await exchange(text), 400, "malformed_request")
    }

    @Test(arguments: ["/v1/users/%zz", "/v1/users/%00", "/v1/users?a=%", "v1/users", "*"])
    func pathsThatAreNone(target: String) async throws {
        let text = try await exchange("GET \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(text.hasPrefix("HTTP/1.1 400 "), "\(text.prefix(200))")
        #expect(text.contains("application/problem+json"))
    }

    @Test func headersWithoutEnd() async throws {
        let text = "GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 40_000)
        expectProblem(try await exchange(text), 431, "headers_too_large")
    }

    @Test func aChunkThatIsNoChunk() async throws {
        let text = try await exchange(
            "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        expectProblem(text, 400, "malformed_request")
    }

    @Test func aBodyThatDoesNotCome() async throws {
        var limits = HTTPLimits()
        limits.body = .milliseconds(200)
        let text = try await exchange(
            "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
            limits: limits)
        expectProblem(text, 408, "body_timeout")
    }

    @Test func aBodyThatIsAnnouncedTooLargeIsNotRead() async throws {
        let text = try await exchange(
            "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Content-Length: 100000000\r\n\r\n{")
        expectProblem(text, 413, "request_too_large")
    }

    @Test func garbageBehindARequestWaitsForItsAnswer() async throws {
        let text = try await exchange("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n")
        #expect(text.hasPrefix("HTTP/1.1 200 "))
        #expect(text.contains("HTTP/1.1 400 "))
        #expect(text.contains("\"code\":\"malformed_request\""))
    }

    @Test func requestsInOnePacketAreAnsweredInOrder() async throws {
        let text = try await exchange(
            "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let statuses = text.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(statuses == ["200", "404"])
    }

    @Test func anIdleConnectionIsClosed() async throws {
        var limits = HTTPLimits()
        limits.idle = .milliseconds(200)
        #expect(try await exchange("GET /hea", limits: limits) == "")
    }
}
