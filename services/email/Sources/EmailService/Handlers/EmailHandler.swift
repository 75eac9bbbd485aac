package import Contracts
package import RPCCore

/// `lockstep.email.v1.EmailService`.
package struct EmailHandler: EmailServiceHandler {
    /// Who may ask after everybody's messages.
    private static let operatorService = "operator"

    private let outbox: Outbox

    package init(outbox: Outbox) { self.outbox = outbox }

    package func send(_ request: EmailSendRequest, _ context: CallContext) async throws -> EmailSendResponse {
        let mail = try Mail(request)
        let id = try await outbox.accept(
            mail,
            Outbox.Request(
                caller: context.peer.service, idempotencyKey: request.idempotencyKey,
                expiresAt: request.expiresAtUs > 0 ? request.expiresAtUs : nil, requestID: context.requestID),
            options: context.outgoing())
        var response = EmailSendResponse()
        response.messageID = id
        return response
    }

    package func getMessage(
        _ request: EmailGetMessageRequest, _ context: CallContext
    ) async throws -> EmailGetMessageResponse {
        let caller = context.peer.service == Self.operatorService ? nil : context.peer.service
        let status = try await outbox.status(of: request.messageID, caller: caller)
        var response = EmailGetMessageResponse()
        response.state = .init(status.state)
        response.attempts = UInt32(clamping: status.attempts)
        return response
    }
}

extension Mail {
    fileprivate init(_ request: EmailSendRequest) throws {
        guard let template = MailTemplate(request.template) else {
            throw EmailError.invalid([.init(field: "template", message: "This service knows no such template.")])
        }
        self.init(template: template, to: request.to, name: request.name, variables: request.variables)
    }
}

extension MailTemplate {
    fileprivate init?(_ template: EmailTemplate) {
        switch template {
        case .emailVerification: self = .emailVerification
        case .passwordReset: self = .passwordReset
        case .newSignIn: self = .newSignIn
        case .passwordChanged: self = .passwordChanged
        case .alreadyRegistered: self = .alreadyRegistered
        case .secondFactorChanged: self = .secondFactorChanged
        case .addressChange: self = .addressChange
        case .addressChangeApproval: self = .addressChangeApproval
        case .addressChanged: self = .addressChanged
        case .accountDeleted: self = .accountDeleted
        case .passwordNeeded: self = .passwordNeeded
        case .passkeyCopied: self = .passkeyCopied
        case .passwordLocked: self = .passwordLocked
        case .unspecified, .UNRECOGNIZED: return nil
        }
    }
}

extension EmailGetMessageResponse.State {
    fileprivate init(_ state: MessageState) {
        self =
            switch state {
            case .queued: .queued
            case .delivered: .delivered
            case .failed: .failed
            case .expired: .expired
            }
    }
}
