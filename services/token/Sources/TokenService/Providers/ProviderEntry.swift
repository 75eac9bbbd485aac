private import Foundation
internal import ServiceKit

/// One object of the providers file on its way to a `Provider`.
struct ProviderEntry {
    private let members: [String: Any]
    private let file: String
    private let index: Int

    private static let known: Set<String> = [
        "provider", "name", "authorization_endpoint", "token_endpoint", "revocation_endpoint", "client_id",
        "client_secret", "client_secret_file", "scopes", "token_auth_method", "redirect_uri", "issuer",
    ]
    private static let maximumNameLength = 64

    init(_ item: Any, file: String, index: Int) throws(ProviderFileError) {
        guard let members = item as? [String: Any] else {
            throw ProviderFileError(file: file, entry: index, problem: "it must be a JSON object")
        }
        self.members = members
        self.file = file
        self.index = index
        if let stranger = members.keys.sorted().first(where: { !Self.known.contains($0) }) {
            throw error(stranger, "there is no such field; there are \(Self.known.sorted().joined(separator: ", "))")
        }
    }

    func provider() throws(ProviderFileError) -> Provider {
        let id = try identifier("provider")
        return Provider(
            id: id,
            name: try optionalText("name") ?? id,
            authorizationEndpoint: try url("authorization_endpoint"),
            tokenEndpoint: try url("token_endpoint"),
            revocationEndpoint: members["revocation_endpoint"] == nil ? nil : try url("revocation_endpoint"),
            clientID: try text("client_id"),
            clientSecret: try secret(),
            scopes: try scopes(),
            authentication: try authentication(),
            redirectURI: try url("redirect_uri"),
            issuer: members["issuer"] == nil ? nil : try url("issuer"))
    }

    func error(_ field: String, _ problem: String) -> ProviderFileError {
        ProviderFileError(file: file, entry: index, field: field, problem: problem)
    }

    private func text(_ field: String) throws(ProviderFileError) -> String {
        guard let text = try optionalText(field) else { throw error(field, "it is missing") }
        return text
    }

    private func optionalText(_ field: String) throws(ProviderFileError) -> String? {
        guard let value = members[field] else { return nil }
        guard let text = value as? String, !text.isEmpty else { throw error(field, "it must be a text, not empty") }
        return text
    }

    private func identifier(_ field: String) throws(ProviderFileError) -> String {
        let id = try text(field)
        let isName = id.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2d || byte == 0x5f
        }
        guard isName, id.utf8.count <= Self.maximumNameLength else {
            throw error(field, "it must be 1 to \(Self.maximumNameLength) of a-z, 0-9, - and _")
        }
        return id
    }

    /// https, or http on this machine, where there is nobody in between.
    private func url(_ field: String) throws(ProviderFileError) -> String {
        let value = try text(field)
        guard let url = URLComponents(string: value), let host = url.host, !host.isEmpty else {
            throw error(field, "it must be an absolute URL")
        }
        guard url.fragment == nil, url.user == nil, url.password == nil else {
            throw error(field, "it must have no fragment and no credentials")
        }
        let isLocal = ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host)
        guard url.scheme == "https" || (url.scheme == "http" && isLocal) else {
            throw error(field, "it must be https; http is for 127.0.0.1, ::1 and localhost only")
        }
        return value
    }

    private func secret() throws(ProviderFileError) -> Redacted<String> {
        switch (members["client_secret"], members["client_secret_file"]) {
        case (.some, .some): throw error("client_secret_file", "give it or client_secret, not both")
        case (.some, nil): return Redacted(try text("client_secret"))
        case (nil, .some): return try secretFromFile()
        case (nil, nil): throw error("client_secret", "it is missing; client_secret_file may stand in its place")
        }
    }

    private func secretFromFile() throws(ProviderFileError) -> Redacted<String> {
        let field = "client_secret_file"
        let path = try text(field)
        let data = try ProviderFile.read(path, entry: index, field: field, owner: file)
        let secret = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
        guard !secret.isEmpty else { throw error(field, "\(path) is empty") }
        return Redacted(secret)
    }

    private func scopes() throws(ProviderFileError) -> [String] {
        guard let scopes = members["scopes"] as? [String] else { throw error("scopes", "it must be a list of texts") }
        // RFC 6749, 3.3: scope-token.
        let areTokens = scopes.allSatisfy { scope in
            !scope.isEmpty && scope.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c }
        }
        guard areTokens else { throw error("scopes", "each must be printable ASCII without spaces, \" and \\") }
        return scopes
    }

    private func authentication() throws(ProviderFileError) -> Provider.ClientAuthentication {
        guard let name = try optionalText("token_auth_method") else { return .basic }
        guard let method = Provider.ClientAuthentication(rawValue: name) else {
            let allowed = Provider.ClientAuthentication.allCases.map(\.rawValue).joined(separator: " or ")
            throw error("token_auth_method", "it must be \(allowed)")
        }
        return method
    }
}
