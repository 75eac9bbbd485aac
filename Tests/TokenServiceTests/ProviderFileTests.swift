import Foundation
import ServiceKit
import TestSupport
import Testing

@testable import TokenService

/// `token.providers`, right and wrong.
@Suite struct ProviderFileTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static var good: [String: Any] { [
        "provider": "acme", "name": "Acme Bank", "authorization_endpoint": "https://acme.example/authorize",
        "token_endpoint": "https://acme.example/token", "client_id": "id", "client_secret": "PLANTED",
        "scopes": ["read"], "redirect_uri": "https://127.0.0.1:8443/v1/connections/callback",
    ] }

    private func write(_ text: String, _ name: String = "providers.json", mode: Int = 0o600) throws -> String {
        let path = directory.path(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func write(_ entries: [[String: Any]], mode: Int = 0o600) throws -> String {
        try write(String(decoding: JSONSerialization.data(withJSONObject: entries), as: UTF8.self), mode: mode)
    }

    private func problem(_ path: String) throws -> ProviderFileError {
        try #require(throws: ProviderFileError.self) { try ProviderFile.load(path: path) }
    }

    @Test func aMissingFileIsNoProviders() throws {
        #expect(try ProviderFile.load(path: directory.path("nothing.json")) == nil)
    }

    @Test func aGoodFileIsRead() throws {
        let registry = try #require(try ProviderFile.load(path: write([Self.good])))
        let provider = try #require(registry["acme"])
        #expect(provider.name == "Acme Bank")
        #expect(provider.authentication == .basic)
        #expect(provider.clientSecret.exposed == "PLANTED")
        #expect(provider.revocationEndpoint == nil)
        #expect(!"\(provider)".contains("PLANTED"))
    }

    @Test func aSecretMayStandInAFileOfItsOwn() throws {
        var entry = Self.good
        entry["client_secret"] = nil
        entry["client_secret_file"] = try write("PLANTED\n", "secret")
        let registry = try #require(try ProviderFile.load(path: write([entry])))
        #expect(registry.all.first?.clientSecret.exposed == "PLANTED")
        entry["client_secret_file"] = try write("PLANTED\n", "open-secret", mode: 0o644)
        #expect(try problem(write([entry])).field == "client_secret_file")
    }

    /// Field, its wrong value (nil: missing), a word of the explanation.
    static let wrong: [(String, String?, String)] = [
        ("provider", nil, "missing"), ("provider", "\"Acme Bank\"", "a-z"), ("provider", "7", "text"),
        ("authorization_endpoint", nil, "missing"), ("authorization_endpoint", "\"http://acme.example/a\"", "https"),
        ("token_endpoint", "\"ftp://acme.example/\"", "https"), ("token_endpoint", "\"acme\"", "URL"),
        ("token_endpoint", "\"https://user:PLANTED@acme.example/\"", "credentials"),
        ("revocation_endpoint", "\"https://acme.example/#x\"", "fragment"), ("client_id", "\"\"", "empty"),
        ("client_secret", nil, "missing"), ("client_secret_file", "\"/nowhere\"", "not both"),
        ("scopes", "\"read\"", "list"), ("scopes", "[\"a b\"]", "spaces"), ("redirect_uri", nil, "missing"),
        ("token_auth_method", "\"none\"", "basic or post"), ("issuer", "\"acme\"", "URL"),
        ("token_endpont", "\"x\"", "no such field"),
    ]

    @Test(arguments: 0..<wrong.count)
    func aWrongFieldIsNamed(index: Int) throws {
        let (field, value, word) = Self.wrong[index]
        var entry = Self.good
        entry[field] = try value.map {
            try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
        }
        let path = try write([Self.good.merging(["provider": "first"]) { $1 }, entry])
        let problem = try problem(path)
        #expect(problem.entry == 1)
        #expect(problem.field == field)
        #expect(problem.description.contains(path))
        #expect(problem.description.contains(word), "\(problem)")
        #expect(!problem.description.contains("PLANTED"))
    }

    @Test(arguments: ["", "{}", "[1]", "[{]", "null"])
    func whatIsNoListOfObjectsIsRefused(text: String) throws {
        #expect(try problem(write(text)).description.contains("JSON"))
    }

    @Test func aFileThatOthersCanReadIsRefused() throws {
        #expect(try problem(write([Self.good], mode: 0o644)).description.contains("chmod 600"))
    }

    @Test func twoProvidersOfOneNameAreRefused() throws {
        let problem = try problem(write([Self.good, Self.good]))
        #expect(problem.entry == 1)
        #expect(problem.field == "provider")
    }

    @Test func challengeIsTheRFCsOwn() throws {
        // RFC 7636, appendix B.
        let verifier = CodeVerifier(value: .init("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        #expect(try verifier.challenge() == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test func authorizationURLsAreEncoded() throws {
        let provider = Provider.acme("https://acme.example")
        let (state, verifier) = (try AuthorizationState(), try CodeVerifier())
        let url = try provider.authorizationURL(state: state, verifier: verifier).exposed
        #expect(url.hasPrefix("https://acme.example/authorize?tenant=1&response_type=code&client_id=client%20id%3A&"))
        #expect(url.contains("&scope=read%20write&"))
        #expect(url.contains("&redirect_uri=https%3A%2F%2F127.0.0.1%3A8443%2Fv1%2Fconnections%2Fcallback&"))
        #expect(!url.contains(verifier.value.exposed))
        #expect(state.value.exposed.count == 43)
        #expect(try AuthorizationState().value.exposed != state.value.exposed)
    }
}
