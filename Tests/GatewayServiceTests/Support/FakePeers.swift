import Contracts
import JOSE
import LibCrypto
import RPCCore
import SwiftProtobuf
import Synchronization

@testable import GatewayService

/// Publishes one key.
struct FakeJWT: JWTServiceHandler {
    let key: JWK

    func sign(_ request: EncryptionSignRequest, _ context: CallContext) throws -> EncryptionSignResponse {
        throw RPCError(.unimplemented, "")
    }

    func verify(
        _ request: EncryptionVerifyTokenRequest, _ context: CallContext
    ) throws -> EncryptionVerifyTokenResponse {
        throw RPCError(.unimplemented, "")
    }

    func jwks(_ request: EncryptionJWKSRequest, _ context: CallContext) throws -> EncryptionJWKSResponse {
        .with {
            $0.keys = [
                .with {
                    $0.kty = "OKP"
                    $0.crv = "Ed25519"
                    $0.x = key.members.x
                    $0.kid = key.kid
                    $0.use = "sig"
                    $0.alg = "EdDSA"
                }
            ]
        }
    }
}

struct FakeHealth: HealthServiceHandler {
    func check(_ request: RuntimeCheckRequest, _ context: CallContext) throws -> RuntimeCheckResponse {
        .with { $0.state = .serving }
    }
}

/// Token as the gateway sees it.
struct FakeToken: TokenServiceHandler {
    func listProviders(
        _ request: TokenListProvidersRequest, _ context: CallContext
    ) async throws -> TokenListProvidersResponse {
        TokenListProvidersResponse()
    }

    func createConnection(
        _ request: TokenCreateConnectionRequest, _ context: CallContext
    ) async throws -> TokenCreateConnectionResponse {
        .with {
            $0.connectionID = "con_1"
            $0.browser = request.browser.isEmpty ? "fresh" : request.browser
            $0.expiresIn = 600
        }
    }

    func listConnections(
        _ request: TokenListConnectionsRequest, _ context: CallContext
    ) async throws -> TokenListConnectionsResponse {
        .with { $0.connections = [.with { $0.connectionID = "con_1"; $0.state = .pending }] }
    }

    func completeConnection(
        _ request: TokenCompleteConnectionRequest, _ context: CallContext
    ) async throws -> TokenConnection {
        .with {
            $0.connectionID = context.user?.subject ?? (request.browser.isEmpty ? "nobody" : request.browser)
            $0.provider = request.state
        }
    }

    func getAccessToken(
        _ request: TokenGetAccessTokenRequest, _ context: CallContext
    ) async throws -> TokenGetAccessTokenResponse {
        .with { $0.accessToken = "of \(request.connectionID)" }
    }

    func deleteConnection(
        _ request: TokenDeleteConnectionRequest, _ context: CallContext
    ) async throws -> TokenDeleteConnectionResponse {
        TokenDeleteConnectionResponse()
    }

    func forgetUser(_ request: TokenForgetUserRequest, _ context: CallContext) async throws -> TokenForgetUserResponse {
        TokenForgetUserResponse()
    }
}

/// A channel that can be cut, for some methods or all.
final class Switch: RPCChannel {
    private let inner: any RPCChannel
    private let cut = Mutex<@Sendable (MethodDescriptor) -> Bool>({ _ in false })

    init(_ inner: any RPCChannel) { self.inner = inner }

    func cut(where isCut: @escaping @Sendable (MethodDescriptor) -> Bool) { cut.withLock { $0 = isCut } }

    func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
        try check(method)
        let answer = try await inner.call(method, request: request, options: options)
        // A call that was under way when the channel was cut brings nothing back either.
        try check(method)
        return answer
    }

    private func check(_ method: MethodDescriptor) throws(RPCError) {
        guard !cut.withLock({ $0 })(method) else {
            throw RPCError(.unavailable, "127.0.0.1:7101 refused the connection", processed: .no)
        }
    }
}

/// Identity tokens that say what they hold.
struct PlainIdentity: UserTokenSigning, UserIdentityVerifier {
    func sign(_ grant: AccessGrant, lane: Lane, lifetime: Duration) throws -> String {
        "\(grant.subject) \(grant.sessionID) \(lane) \(grant.roles.joined(separator: ","))"
    }

    func verify(token: String) throws -> UserIdentity {
        let parts = token.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 else { throw RPCError(.unauthenticated, "not ours") }
        return UserIdentity(
            subject: parts[0], sessionID: parts[1], roles: parts[3].split(separator: ",").map(String.init),
            lane: parts[2] == "emergency" ? .emergency : .routine)
    }
}

/// Clocks that tests move.
final class ManualTime: Sendable {
    private let offset = Mutex(Duration.zero)
    private let start = ContinuousClock.now
    let seconds: Int64 = 1_800_000_000

    var time: RequestTime {
        let offset = offset.withLock { $0 }
        return RequestTime(now: start.advanced(by: offset), seconds: seconds + offset.components.seconds)
    }

    func advance(by duration: Duration) { offset.withLock { $0 += duration } }
}
