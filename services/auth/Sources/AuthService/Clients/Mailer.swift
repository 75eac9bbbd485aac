internal import ContractClients
internal import Contracts
private import Foundation
internal import RPCCore
internal import ServiceKit

/// Asks Email to send.
struct Mailer: Sendable {
    let client: EmailServiceClient

    /// How long an attempt may take: little at first, since Email answers in milliseconds and a notification that a
    /// killed process had taken waits this long; more and more while Email is away.
    static func timeout(attempt: Int) -> Duration {
        min(.seconds(1) * (1 << min(max(0, attempt - 1), 10)), longestTimeout)
    }

    private static let longestTimeout: Duration = .seconds(10)

    /// Each attempt is a message of its own, since each carries a token of its own.
    ///
    /// - Throws: `RPCError`.
    func send(_ notification: Notification, token: OpaqueToken?, expiresAt: Timestamp?) async throws {
        guard let template = notification.kind.template else { return }
        var request = EmailSendRequest()
        request.idempotencyKey = "auth:\(notification.id):\(notification.attempt)"
        request.template = template
        request.to = notification.email
        request.name = notification.name
        request.variables = variables(notification, token)
        request.expiresAtUs = expiresAt?.microseconds ?? 0
        var options = CallOptions(timeout: Self.timeout(attempt: notification.attempt))
        options.requestID = notification.id
        _ = try await client.send(request, options)
    }

    private func variables(_ notification: Notification, _ token: OpaqueToken?) -> [String: String] {
        var variables: [String: String] = [:]
        if let token { variables["token"] = token.text.exposed }
        let telling: [Notification.Kind] = [
            .newSignIn, .verification, .secondFactorChanged, .addressChangeApproval, .addressChanged, .accountDeleted,
            .passkeyCopied, .passwordLocked,
        ]
        guard telling.contains(notification.kind) else { return variables }
        variables["address"] = notification.address
        variables["time"] = notification.createdAt.rfc3339
        // Of a registration the client's name for itself is a stranger's words to somebody who never asked.
        if notification.kind != .verification { variables["user_agent"] = notification.userAgent }
        return variables
    }
}

extension Notification.Kind {
    fileprivate var template: EmailTemplate? {
        switch self {
        case .verification: .emailVerification
        case .passwordReset: .passwordReset
        case .newSignIn: .newSignIn
        case .passwordChanged: .passwordChanged
        case .alreadyRegistered: .alreadyRegistered
        case .secondFactorChanged: .secondFactorChanged
        case .addressChange: .addressChange
        case .addressChangeApproval: .addressChangeApproval
        case .addressChanged: .addressChanged
        case .accountDeleted: .accountDeleted
        case .passwordNeeded: .passwordNeeded
        case .passkeyCopied: .passkeyCopied
        case .passwordLocked: .passwordLocked
        case .nothing: nil
        }
    }
}

extension Timestamp {
    fileprivate var rfc3339: String {
        Date(timeIntervalSince1970: Double(microseconds / 1_000_000)).formatted(.iso8601)
    }
}
