package import RPCCore
internal import ServiceKit

/// Encrypts and decrypts under this service's key. The context is bound to the ciphertext: a token sealed for one
/// connection does not open as another's, nor an access token as a refresh token.
package protocol Sealer: Sendable {
    /// - Throws: `DownstreamError`.
    func seal(_ plaintext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8]

    /// - Throws: `TokenError.unreadableToken` when the ciphertext does not open, which no retry will change;
    ///   `DownstreamError` for all that may work later.
    func open(_ ciphertext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8]
}

/// The sealed columns of one connection.
enum SealedField: String, Sendable {
    case verifier = "code_verifier"
    case accessToken = "access_token"
    case refreshToken = "refresh_token"
}

/// Tokens in and out of their sealed form.
struct TokenVault: Sendable {
    let sealer: any Sealer

    func seal(
        _ text: Redacted<String>, as field: SealedField, of connection: String, _ options: CallOptions
    ) async throws -> [UInt8] {
        try await sealer.seal(
            Array(text.exposed.utf8), context: Self.context(field, connection), options: options)
    }

    func open(
        _ ciphertext: [UInt8], as field: SealedField, of connection: String, _ options: CallOptions
    ) async throws -> Redacted<String> {
        let bytes = try await sealer.open(ciphertext, context: Self.context(field, connection), options: options)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw TokenError.unreadableToken }
        return Redacted(text)
    }

    /// The pair, sealed; a missing refresh token stays missing.
    func seal(_ tokens: ProviderTokens, of connection: String, _ options: CallOptions) async throws -> SealedTokens {
        let access = try await seal(tokens.accessToken, as: .accessToken, of: connection, options)
        var refresh: [UInt8]?
        if let token = tokens.refreshToken {
            refresh = try await seal(token, as: .refreshToken, of: connection, options)
        }
        return SealedTokens(accessToken: access, refreshToken: refresh)
    }

    private static func context(_ field: SealedField, _ connection: String) -> String {
        "\(connection)/\(field.rawValue)"
    }
}

/// A pair of tokens as the database keeps them.
struct SealedTokens: Sendable {
    var accessToken: [UInt8]?
    var refreshToken: [UInt8]?
}
