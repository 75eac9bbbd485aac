package import ServiceKit

/// An OAuth 2.0 server that users can link, as configured.
package struct Provider: Sendable {
    /// How the client proves itself at the token endpoint (RFC 6749, 2.3.1).
    package enum ClientAuthentication: String, Sendable, CaseIterable {
        case basic
        case post
    }

    /// Its name in the API: `[a-z0-9_-]`.
    package let id: String
    /// Its name for people.
    package let name: String
    package let authorizationEndpoint: String
    package let tokenEndpoint: String
    package let revocationEndpoint: String?
    package let clientID: String
    package let clientSecret: Redacted<String>
    package let scopes: [String]
    package let authentication: ClientAuthentication
    package let redirectURI: String
    /// RFC 9207: what `iss` must be in the callback; nil when the provider does not send it.
    package let issuer: String?
}

extension Provider {
    /// Where the user's browser starts (RFC 6749, 4.1.1; RFC 7636, 4.3). A query of the endpoint's own is kept.
    func authorizationURL(state: AuthorizationState, verifier: CodeVerifier) throws -> Redacted<String> {
        let query = FormEncoding.encode([
            ("response_type", "code"),
            ("client_id", clientID),
            ("redirect_uri", redirectURI),
            ("scope", scopes.joined(separator: " ")),
            ("state", state.value.exposed),
            ("code_challenge", try verifier.challenge()),
            ("code_challenge_method", CodeVerifier.challengeMethod),
        ])
        return Redacted(authorizationEndpoint + (authorizationEndpoint.contains("?") ? "&" : "?") + query)
    }
}

/// The providers that this process knows, by id.
package struct ProviderRegistry: Sendable {
    /// In the order of the file.
    package let all: [Provider]
    private let byID: [String: Provider]

    package init(_ providers: [Provider]) {
        all = providers
        byID = Dictionary(providers.map { ($0.id, $0) }) { first, _ in first }
    }

    package subscript(id: String) -> Provider? { byID[id] }
}
