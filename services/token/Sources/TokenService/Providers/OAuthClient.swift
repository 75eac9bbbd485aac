package import AsyncHTTPClient
private import Foundation
private import NIOCore
private import NIOHTTP1
private import RPCCore
internal import ServiceKit

/// Talks to providers' token and revocation endpoints. Follows no redirect; reads a bounded answer in a bounded time.
package struct OAuthClient: Sendable {
    /// Answers above this are malformed, bytes.
    static let maximumAnswer = 65_536
    /// A `Retry-After` above this is cut to it.
    static let longestRetryAfter: Duration = .seconds(3600)

    let http: HTTPClient
    /// For one request, from connecting to the answer's last byte.
    let timeout: Duration

    package init(http: HTTPClient, timeout: Duration) {
        self.http = http
        self.timeout = timeout
    }

    /// An HTTP client as this service needs it. To be shut down by whoever made it.
    package static func makeHTTPClient() -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.decompression = .disabled
        configuration.timeout.connect = .seconds(5)
        configuration.httpVersion = .http1Only
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// RFC 6749, 4.1.3 with RFC 7636, 4.5.
    func exchange(
        code: String, verifier: Redacted<String>, at provider: Provider
    ) async throws(ProviderFailure) -> ProviderTokens {
        let answer = try await post(
            [
                ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", provider.redirectURI),
                ("code_verifier", verifier.exposed),
            ], to: provider.tokenEndpoint, of: provider)
        return try ProviderTokens(json: try answer.success())
    }

    /// RFC 6749, 6.
    func refresh(_ token: Redacted<String>, at provider: Provider) async throws(ProviderFailure) -> ProviderTokens {
        let answer = try await post(
            [("grant_type", "refresh_token"), ("refresh_token", token.exposed)],
            to: provider.tokenEndpoint, of: provider)
        return try ProviderTokens(json: try answer.success())
    }

    /// RFC 7009. A token that the provider does not know is revoked as well.
    func revoke(
        _ token: Redacted<String>, hint: String, endpoint: String, of provider: Provider
    ) async throws(ProviderFailure) {
        let answer = try await post(
            [("token", token.exposed), ("token_type_hint", hint)], to: endpoint, of: provider)
        do {
            _ = try answer.success()
        } catch .refused("unsupported_token_type") {
            return
        }
    }

    private func post(
        _ fields: [(String, String)], to endpoint: String, of provider: Provider
    ) async throws(ProviderFailure) -> Answer {
        let request = request(fields, to: endpoint, of: provider)
        HandlerScope.current?.act()
        do {
            let response = try await http.execute(request, timeout: .nanoseconds(timeout.nanoseconds))
            let body = try await response.body.collect(upTo: Self.maximumAnswer)
            return Answer(
                status: Int(response.status.code), retryAfter: response.retryAfter, body: Array(body.readableBytesView))
        } catch is NIOTooManyBytesError {
            throw .malformed
        } catch let error as HTTPClientError where error == .connectTimeout {
            throw .unavailable(retryAfter: nil)
        } catch is HTTPParserError {
            throw .malformed
        } catch {
            throw .lost
        }
    }

    /// The client's credentials travel in the header, or in the body where the provider knows no better.
    private func request(
        _ fields: [(String, String)], to endpoint: String, of provider: Provider
    ) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "Accept", value: "application/json")
        var fields = fields
        switch provider.authentication {
        case .basic: request.headers.add(name: "Authorization", value: Self.basic(provider))
        case .post: fields += [("client_id", provider.clientID), ("client_secret", provider.clientSecret.exposed)]
        }
        request.body = .bytes(Array(FormEncoding.encode(fields).utf8))
        return request
    }

    /// RFC 6749, 2.3.1: both parts form-encoded before they are joined.
    private static func basic(_ provider: Provider) -> String {
        let pair = FormEncoding.escape(provider.clientID) + ":" + FormEncoding.escape(provider.clientSecret.exposed)
        return "Basic " + Data(pair.utf8).base64EncodedString()
    }
}

/// A provider's answer, read whole.
private struct Answer {
    let status: Int
    let retryAfter: Duration?
    let body: [UInt8]

    func success() throws(ProviderFailure) -> [UInt8] {
        switch status {
        case 200..<300: return body
        case 300..<400: throw .malformed
        case 408, 429, 500...: throw .unavailable(retryAfter: retryAfter)
        default: throw refusal
        }
    }

    private var refusal: ProviderFailure {
        switch ProviderTokens.knownError(json: body) {
        case "invalid_grant": .invalidGrant
        case "temporarily_unavailable", "server_error", "slow_down": .unavailable(retryAfter: retryAfter)
        case .some(let code): .refused(code)
        case nil: .refused("http_\(status)")
        }
    }
}

extension HTTPClientResponse {
    /// `Retry-After` in seconds; the form with a date is rare and not read.
    fileprivate var retryAfter: Duration? {
        guard let text = headers.first(name: "Retry-After"), let seconds = Int64(text), seconds >= 0 else { return nil }
        return min(.seconds(min(seconds, 86_400)), OAuthClient.longestRetryAfter)
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
