import ContractClients
import Contracts
import JOSE
package import Logging
package import RPCCore
package import ServiceKit
package import ServiceLifecycle
import SwiftProtobuf

/// Everything behind the HTTP listener, put together from channels: what tests share with the process.
package struct GatewayBackend: Sendable {
    package let gateway: Gateway
    package let keys: KeySetCache
    package let revocations: Revocations
    /// The feed of ended sessions and the fetching of keys.
    package let background: [any Service]

    /// How the gateway is to behave.
    package struct Settings: Sendable {
        package var rateScale = RateScale.on
        package var rateBuckets = RateLimiter.defaultCapacity
        package var proxies = TrustedProxies([])
        package var requests = 1024
        package var keyRefresh = Duration.seconds(300)
        package var issuer = AccessTokens.defaultIssuer
        package var audience = AccessTokens.defaultAudience

        package init() {}
    }

    /// - Parameters:
    ///   - channels: To each process that hosts a routed method, by name.
    ///   - time: Reads the clocks.
    /// - Throws: `RouteConflict` when the contract has two methods for one route.
    package init(
        channels: [String: any RPCChannel], signer: any UserTokenSigning, settings: Settings = Settings(),
        codings: [MethodCoding] = Contract.codings, logger: Logger, telemetry: Telemetry? = nil,
        time: @escaping @Sendable () -> RequestTime
    ) throws {
        let routes = try RouteTable(codings: codings)
        let auth = AuthServiceClient(channels["auth"] ?? MissingChannel())
        let encryption = JWTServiceClient(channels["encryption"] ?? MissingChannel())
        let keys = KeySetCache { try await encryption.keySet() }
        let revocations = Revocations { try await auth.isLive($0, requestID: $1, user: $2) }
        self.keys = keys
        self.revocations = revocations
        self.background = [
            RevocationFeed(client: auth, revocations: revocations, logger: logger, now: { time().now }),
            KeySetRefresher(keys: keys, interval: settings.keyRefresh, logger: logger),
        ]
        let log = AccessLog(logger: logger)
        self.gateway = Gateway(
            GatewayParts(
                routes: routes, openAPI: OpenAPIDocument.json(for: routes).utf8, channels: channels,
                authenticator: Authenticator(
                    accessTokens: AccessTokens(keys: keys, issuer: settings.issuer, audience: settings.audience),
                    revocations: revocations, identities: IdentityTokens(signer: signer),
                    denials: Denials(client: auth, logger: logger)),
                limiter: RateLimiter(scale: settings.rateScale, capacity: settings.rateBuckets),
                proxies: settings.proxies,
                readiness: Readiness(
                    Self.checks(routes, channels, keys, revocations, time), now: { time().now }, changed: log.readiness),
                log: log, clock: time, concurrency: settings.requests,
                telemetry: telemetry.map { GatewayTelemetry($0, routes: routes) }))
    }

    private static func checks(
        _ routes: RouteTable, _ channels: [String: any RPCChannel], _ keys: KeySetCache, _ revocations: Revocations,
        _ time: @escaping @Sendable () -> RequestTime
    ) -> [ReadinessCheck] {
        let peers = Set(routes.routes.map(\.peer)).sorted().map { peer in
            ReadinessCheck(peer) { await (channels[peer] ?? MissingChannel()).isServing }
        }
        return peers + [
            ReadinessCheck("keys") { keys.keys != nil },
            ReadinessCheck("revocations") { revocations.isFresh(now: time().now) },
        ]
    }
}

/// Stands where no channel was given: every call fails.
struct MissingChannel: RPCChannel {
    func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
        throw RPCError(.unavailable, "There is no channel to the host of \(method.service).", processed: .no)
    }
}

extension RPCChannel {
    /// Whether the process at the other end answers and does not drain.
    fileprivate var isServing: Bool {
        get async {
            var options = CallOptions(timeout: .seconds(1))
            options.waitForReady = true
            do throws(RPCError) {
                return try await HealthServiceClient(self).check(RuntimeCheckRequest(), options).state == .serving
            } catch {
                // Busy is not gone: who refuses a routine call serves emergencies.
                return error.code == .resourceExhausted
            }
        }
    }
}

extension JWTServiceClient {
    /// The keys that verify access tokens.
    fileprivate func keySet() async throws -> JWKSet {
        let answer = try await jwks(EncryptionJWKSRequest(), CallOptions())
        let json = try MethodCoding(JWTServiceContract.jwks, EncryptionJWKSRequest.self, EncryptionJWKSResponse.self)
            .json(fromResponse: answer.serializedBytes())
        return try JWKSet(json: json)
    }
}

extension AuthServiceClient {
    /// - Parameter user: Whose request needs to know, with its lane.
    fileprivate func isLive(_ session: String, requestID: String, user: AuthenticatedUser?) async throws -> Bool {
        var request = AuthCheckSessionRequest()
        request.sessionID = session
        var options = CallOptions()
        options.requestID = requestID
        if let user { (options.userToken, options.lane) = (user.identityToken, user.lane) }
        return try await checkSession(request, options).live
    }
}
