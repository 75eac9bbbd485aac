private import LibCrypto
package import RPCCore

/// Accepts mail: checks it, seals it, stores it once for each key, and tells the worker.
package struct Outbox: Sendable {
    let store: OutboxStore
    let sealer: any Sealer
    let clock: any ServiceClock
    let bell: Bell

    package init(store: OutboxStore, sealer: any Sealer, clock: any ServiceClock, bell: Bell) {
        self.store = store
        self.sealer = sealer
        self.clock = clock
        self.bell = bell
    }

    /// Who asks, under which key, and until when the mail is of use.
    package struct Request: Sendable {
        package var caller: String
        package var idempotencyKey: String
        package var expiresAt: Microseconds?
        package var requestID: String

        package init(caller: String, idempotencyKey: String, expiresAt: Microseconds?, requestID: String) {
            self.caller = caller
            self.idempotencyKey = idempotencyKey
            self.expiresAt = expiresAt
            self.requestID = requestID
        }
    }

    /// Returns once the message is durable.
    ///
    /// - Returns: the message's id; for a repeated request the id of the first.
    /// - Throws: `EmailError`, `DownstreamError` of Encryption, `DatabaseError`.
    package func accept(_ mail: Mail, _ request: Request, options: CallOptions) async throws -> String {
        try MailRules.check(mail)
        let digest = try mail.digest()
        if let known = try await store.known(caller: request.caller, key: request.idempotencyKey) {
            return try await confirm(known, is: digest, options)
        }
        let message = try await seal(mail, digest, request, options)
        if let known = try await store.insert(message) {
            return try await confirm(known, is: digest, options)
        }
        bell.ring()
        return message.id
    }

    /// - Parameter caller: Whose message it must be; nil for operators.
    func status(of id: String, caller: String?) async throws -> MessageStatus {
        guard let status = try await store.status(id: id, caller: caller) else { throw EmailError.unknownMessage }
        return status
    }

    private func seal(
        _ mail: Mail, _ digest: [UInt8], _ request: Request, _ options: CallOptions
    ) async throws -> NewMessage {
        let id = "msg_" + Base64URL.encode(try RandomBytes.generate(16))
        let sealedDigest = try await sealer.seal(digest, context: SealContext.digest(id), options: options)
        let payload = try await sealer.seal(mail.encoded(), context: SealContext.payload(id), options: options)
        return NewMessage(
            id: id, caller: request.caller, idempotencyKey: request.idempotencyKey, template: mail.template,
            digest: sealedDigest, payload: payload, requestID: request.requestID, createdAt: clock.now,
            expiresAt: request.expiresAt)
    }

    private func confirm(_ known: KnownMessage, is digest: [UInt8], _ options: CallOptions) async throws -> String {
        let first = try await sealer.open(known.digest, context: SealContext.digest(known.id), options: options)
        guard constantTimeEqual(first, digest) else { throw EmailError.idempotencyConflict }
        return known.id
    }
}
