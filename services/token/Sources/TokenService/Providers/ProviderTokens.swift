private import Foundation
internal import ServiceKit

/// What a token endpoint gave (RFC 6749, 5.1).
struct ProviderTokens: Sendable {
    let accessToken: Redacted<String>
    /// Nil when the provider keeps the old one, or gives none at all.
    let refreshToken: Redacted<String>?
    let tokenType: String
    /// Nil when the provider does not say.
    let lifetime: Duration?
    /// Nil when it is what was asked for.
    let scope: String?

    /// Longer tokens are refused.
    static let maximumTokenLength = 16_384
    /// Longer lives are cut to this; also keeps the arithmetic safe from numbers that are none.
    static let longestLifetime: Duration = .seconds(10 * 365 * 86_400)
    private static let maximumScopeLength = 4096

    /// - Throws: `ProviderFailure.malformed` for anything that is no token response with a bearer token.
    init(json: [UInt8]) throws(ProviderFailure) {
        guard let members = try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any] else {
            throw .malformed
        }
        guard let access = members["access_token"] as? String, Self.isToken(access) else { throw .malformed }
        guard let type = members["token_type"] as? String, type.lowercased() == "bearer" else { throw .malformed }
        accessToken = Redacted(access)
        tokenType = "Bearer"
        refreshToken = try Self.refreshToken(members["refresh_token"])
        lifetime = try Self.lifetime(members["expires_in"])
        scope = try Self.scope(members["scope"])
    }

    /// The error code of RFC 6749, 5.2, when it is one that this service knows. Nothing else of the answer is read.
    static func knownError(json: [UInt8]) -> String? {
        let known = [
            "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
            "invalid_scope", "temporarily_unavailable", "server_error", "slow_down", "unsupported_token_type",
        ]
        let members = (try? JSONSerialization.jsonObject(with: Data(json))) as? [String: Any]
        return (members?["error"] as? String).flatMap { known.contains($0) ? $0 : nil }
    }

    private static func refreshToken(_ value: Any?) throws(ProviderFailure) -> Redacted<String>? {
        guard let value, !(value is NSNull) else { return nil }
        guard let token = value as? String else { throw .malformed }
        if token.isEmpty { return nil }
        guard isToken(token) else { throw .malformed }
        return Redacted(token)
    }

    /// A number of seconds; some providers send it as text.
    private static func lifetime(_ value: Any?) throws(ProviderFailure) -> Duration? {
        guard let value, !(value is NSNull) else { return nil }
        let number = (value as? String).flatMap(Double.init) ?? (value as? NSNumber)?.doubleValue
        guard let seconds = number, seconds.isFinite, seconds >= 0 else { throw .malformed }
        return seconds >= 315_360_000 ? longestLifetime : .seconds(seconds)
    }

    private static func scope(_ value: Any?) throws(ProviderFailure) -> String? {
        guard let value, !(value is NSNull) else { return nil }
        guard let scope = value as? String, scope.utf8.count <= maximumScopeLength else { throw .malformed }
        return scope
    }

    /// RFC 6749, A.12: visible ASCII and spaces; an empty one is none.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumTokenLength && text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
    }
}

/// How a request to a provider failed, in the kinds that make a difference. Holds none of its words.
enum ProviderFailure: Error, Equatable {
    /// `invalid_grant`: the code or refresh token is worth nothing, for good.
    case invalidGrant
    /// Another refusal that stays one; the code of RFC 6749, or the HTTP status.
    case refused(String)
    /// 429, 5xx: may pass.
    case unavailable(retryAfter: Duration?)
    /// The request may or may not have arrived: timeout, lost connection.
    case lost
    /// The answer is no answer: not JSON, too large, a redirect.
    case malformed
}

extension ProviderFailure {
    /// For logs.
    var word: String {
        switch self {
        case .invalidGrant: "invalid_grant"
        case .refused(let code): "refused_\(code)"
        case .unavailable: "unavailable"
        case .lost: "lost"
        case .malformed: "malformed"
        }
    }
}
