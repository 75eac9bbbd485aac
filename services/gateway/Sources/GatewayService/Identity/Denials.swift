package import ContractClients
import Contracts
package import Logging
import RPCCore
import ServiceKit
import Synchronization

/// Notes that a user was refused what needs a role they do not have: in the log at once, and in auth's audit trail
/// beside the answer, which does not wait for it.
package final class Denials: Sendable {
    /// Notes on their way at once; of more the log alone knows.
    package static let capacity = 64

    private let client: AuthServiceClient
    private let logger: Logger
    private let underWay = Mutex(0)

    package init(client: AuthServiceClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    func note(_ user: AuthenticatedUser, _ method: MethodDescriptor, requestID: String, origin: ClientOrigin) {
        logger.event(
            .notice, "access denied", .requestID(requestID), .method(method), .id("user", user.grant.subject),
            .id("session", user.grant.sessionID))
        let hasRoom = underWay.withLock { count in
            guard count < Self.capacity else { return false }
            count += 1
            return true
        }
        guard hasRoom else { return }
        var request = AuthRecordDenialRequest()
        request.method = method.fullName
        var options = CallOptions(timeout: Self.timeout)
        options.requestID = requestID
        options.userToken = user.identityToken
        options.origin = origin
        Task { [request, options] in
            defer { underWay.withLock { $0 -= 1 } }
            do throws(RPCError) {
                _ = try await client.recordDenial(request, options)
            } catch {
                logger.event(.warning, "a denial is not in the audit trail", .requestID(requestID), .error(error))
            }
        }
    }

    private static let timeout: Duration = .seconds(5)
}
