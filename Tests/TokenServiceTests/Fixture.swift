import AsyncHTTPClient
import ContractClients
import Contracts
import Foundation
import LibCrypto
import Logging
import RPCCore
import RPCInProcess
import SQL
import Synchronization
import TestSupport
import Testing

@testable import TokenService

/// The service as its executable assembles it, with time and key in the test's hands and providers of its choice.
final class Fixture: Sendable {
    static let redirectURI = "https://127.0.0.1:8443/v1/connections/callback"

    let directory: TemporaryDirectory
    let clock = TestClock()
    let sealer = TestSealer()
    let http: HTTPClient
    let url: String
    let database: Database
    let store: ConnectionStore
    let providers: ProviderRegistry
    let parts: TokenParts

    init(providers: ProviderRegistry, _ change: (inout TokenSettings) -> Void = { _ in }) async throws {
        directory = try TemporaryDirectory()
        http = OAuthClient.makeHTTPClient()
        self.providers = providers
        url = try await Engine.current.freshURL(directory.path("token.sqlite"))
        database = try await Database.open(url: url)
        store = ConnectionStore(database: database)
        try await store.prepare()
        var settings = TokenSettings()
        change(&settings)
        parts = Self.parts(store, sealer, providers, http, settings, clock)
    }

    /// Runs a body with a service and closes what the service holds.
    static func with<T: Sendable>(
        _ providers: ProviderRegistry, _ change: (inout TokenSettings) -> Void = { _ in },
        _ body: (Fixture) async throws -> T
    ) async throws -> T {
        let fixture = try await Fixture(providers: providers, change)
        let result: Result<T, any Error>
        do {
            result = .success(try await body(fixture))
        } catch {
            result = .failure(error)
        }
        try await fixture.http.shutdown()
        await fixture.database.close()
        return try result.get()
    }

    static func parts(
        _ store: ConnectionStore, _ sealer: TestSealer, _ providers: ProviderRegistry, _ http: HTTPClient,
        _ settings: TokenSettings, _ clock: TestClock
    ) -> TokenParts {
        TokenParts(
            store: store, sealer: sealer, providers: providers,
            client: OAuthClient(http: http, timeout: settings.providerTimeout), settings: settings, clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// What the gateway calls, for a signed-in user or nobody.
    func client(_ user: String?, of parts: TokenParts? = nil) throws -> TokenServiceClient {
        let identity = user.map { UserIdentity(subject: $0, sessionID: "ses_1", roles: [], lane: .routine) }
        return TokenServiceClient(
            try InProcessChannel(async: [(parts ?? self.parts).handler], peer: "gateway", user: identity))
    }

    /// A second process on the same database file, with a database connection of its own.
    func secondProcess() async throws -> (TokenParts, Database) {
        let database = try await Database.open(url: url)
        var settings = TokenSettings()
        settings.instance = "token-2"
        return (Self.parts(ConnectionStore(database: database), sealer, providers, http, settings, clock), database)
    }

    func events() async throws -> [String] {
        let sql = "SELECT event FROM audit_events ORDER BY at, \(Engine.current.writingOrder)"
        return try await database.read { reader in
            try reader.query(sql) { try $0.get("event") }
        }
    }

    /// All that SQLite has written, the log of changes included.
    func databaseBytes() throws -> Data {
        ["token.sqlite", "token.sqlite-wal"].reduce(into: Data()) { bytes, name in
            bytes += FileManager.default.contents(atPath: directory.path(name)) ?? Data()
        }
    }
}

extension TokenServiceClient {
    /// - Parameter browser: What the browser has from before.
    func start(
        _ provider: String = "acme", in browser: String = ""
    ) async throws -> TokenCreateConnectionResponse {
        var request = TokenCreateConnectionRequest()
        request.provider = provider
        request.browser = browser
        return try await createConnection(request)
    }

    @discardableResult
    func complete(_ callback: Callback, in browser: String = "") async throws -> TokenConnection {
        var request = TokenCompleteConnectionRequest()
        request.state = callback.state
        request.code = callback.code
        request.error = callback.error
        request.iss = callback.issuer
        request.browser = browser
        return try await completeConnection(request)
    }

    func token(_ id: String) async throws -> TokenGetAccessTokenResponse {
        var request = TokenGetAccessTokenRequest()
        request.connectionID = id
        return try await getAccessToken(request)
    }

    func delete(_ id: String) async throws {
        var request = TokenDeleteConnectionRequest()
        request.connectionID = id
        _ = try await deleteConnection(request)
    }

    func states() async throws -> [TokenConnection.State] {
        try await listConnections(TokenListConnectionsRequest()).connections.map(\.state)
    }
}

/// What a provider's redirect carries.
struct Callback: Sendable {
    var state = ""
    var code = ""
    var error = ""
    var issuer = ""

    init(state: String, code: String = "the-code", issuer: String = "") {
        self.state = state
        self.code = code
        self.issuer = issuer
    }

    init(url: String) {
        let items = URLComponents(string: url)?.queryItems ?? []
        func value(_ name: String) -> String { items.first { $0.name == name }?.value ?? "" }
        state = value("state")
        code = value("code")
        error = value("error")
        issuer = value("iss")
    }
}

extension TokenCreateConnectionResponse {
    var query: [String: String] {
        let items = URLComponents(string: authorizationURL)?.queryItems ?? []
        return Dictionary(items.map { ($0.name, $0.value ?? "") }) { first, _ in first }
    }
}

/// Time that stands still until the test moves it.
final class TestClock: ServiceClock {
    private let time = Mutex<Microseconds>(1_795_000_000_000_000)

    var now: Microseconds { time.withLock { $0 } }

    func advance(by duration: Duration) { time.withLock { $0 += duration.microseconds } }

    func sleep(until instant: Microseconds) async throws {
        // Only a pause between two looks at what another task does meanwhile; nothing is concluded from its length.
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// AES-256-GCM with the context as additional data, as Encryption does it, and a switch to be unreachable.
final class TestSealer: Sealer {
    private let key: SymmetricKey
    private let sealing = Mutex(true)

    init() {
        do {
            key = try SymmetricKey()
        } catch {
            fatalError("no random bytes: \(error)")
        }
    }

    func set(sealing: Bool) { self.sealing.withLock { $0 = sealing } }

    func seal(_ plaintext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        guard sealing.withLock({ $0 }) else { throw RPCError(.unavailable, "encryption is away") }
        return try AEAD.seal(plaintext, key: key, aad: Array(context.utf8))
    }

    func open(_ ciphertext: [UInt8], context: String, options: CallOptions) async throws -> [UInt8] {
        do {
            return try AEAD.open(ciphertext, key: key, aad: Array(context.utf8))
        } catch {
            throw TokenError.unreadableToken
        }
    }
}

/// The error that a call ends with, to be looked at more closely.
func failure<T>(_ work: () async throws -> T, _ location: SourceLocation = #_sourceLocation) async -> RPCError? {
    await #expect(throws: RPCError.self, sourceLocation: location) { _ = try await work() }
}
