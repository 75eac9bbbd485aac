private import Logging
private import RPCCore
private import ServiceKit

extension OutboxWorker {
    /// How one attempt ended.
    enum Outcome {
        case delivered
        case expired
        /// For good.
        case failed(Failure)
        /// The message's own fault or its sink's: the next attempt comes later each time.
        case later(Failure)
        /// Somebody else's fault: tried again soon, for as long as it takes.
        case soon(Failure)
    }

    /// One attempt, from the claim to the outbox's next state. Errors end here: what cannot be recorded is tried again
    /// when the lease ends.
    func deliver(_ message: ClaimedMessage) async {
        let outcome = await attempt(message)
        do {
            let recorded = try await record(outcome, message)
            log(outcome, message, recorded: recorded)
        } catch {
            logger.event(
                .error, "an outcome was not recorded", .id("message", message.id), .requestID(message.requestID),
                .error(error))
        }
    }

    private func attempt(_ message: ClaimedMessage) async -> Outcome {
        if let expiresAt = message.expiresAt, expiresAt <= clock.now { return .expired }
        do {
            let mail = try await open(message)
            guard let bytes = try? render(mail, message) else { return .failed(.rendering) }
            try await sink.deliver(id: message.id, message: bytes)
            return .delivered
        } catch EmailError.unreadablePayload {
            return .failed(.unreadable)
        } catch let error as SinkError {
            return outcome(of: error, message)
        } catch {
            return .soon(.encryptionUnavailable)
        }
    }

    private func outcome(of error: SinkError, _ message: ClaimedMessage) -> Outcome {
        logger.event(
            .warning, "the sink did not take a message", .id("message", message.id), .id("sink", sink.name),
            .requestID(message.requestID), .error(error))
        switch error {
        case .refused: return .failed(.sinkRefused)
        case .unavailable:
            let isLast = message.attempt >= settings.retry.maximumAttempts
            return isLast ? .failed(.sinkUnavailable) : .later(.sinkUnavailable)
        }
    }

    private func open(_ message: ClaimedMessage) async throws -> Mail {
        var options = CallOptions(timeout: Self.encryptionTimeout)
        options.requestID = message.requestID
        let bytes = try await sealer.open(
            message.payload, context: SealContext.payload(message.id), options: options)
        guard let mail = try? Mail(encoded: bytes) else { throw EmailError.unreadablePayload }
        return mail
    }

    private func render(_ mail: Mail, _ message: ClaimedMessage) throws -> [UInt8]? {
        guard let content = renderer.render(mail) else { return nil }
        return try MIMEMessage(
            id: message.id, date: message.createdAt, from: sender, to: Mailbox(address: mail.to, name: mail.name),
            content: content
        ).encoded()
    }

    /// - Returns: false when the lease was lost meanwhile: another worker has the message.
    private func record(_ outcome: Outcome, _ message: ClaimedMessage) async throws -> Bool {
        let now = clock.now
        switch outcome {
        case .delivered: return try await store.finish(message, as: .delivered, now: now)
        case .expired: return try await store.finish(message, as: .expired, now: now)
        case .failed(let failure):
            return try await store.finish(message, as: .failed, failure: failure, now: now)
        case .later(let failure):
            let delay = settings.retry.delay(afterAttempt: message.attempt, random: .random(in: 0..<1))
            return try await store.release(message, due: now + delay.microseconds, failure: failure, counted: true)
        case .soon(let failure):
            let due = now + Self.faultlessDelay.microseconds
            return try await store.release(message, due: due, failure: failure, counted: false)
        }
    }

    private func log(_ outcome: Outcome, _ message: ClaimedMessage, recorded: Bool) {
        guard recorded else { return log(.warning, "the lease was lost during delivery", message) }
        switch outcome {
        case .delivered: log(.info, "delivered", message)
        case .expired: log(.notice, "expired before delivery", message)
        case .failed(let failure): log(.error, "given up", message, failure)
        case .later(let failure), .soon(let failure): log(.warning, "to be tried again", message, failure)
        }
    }

    private func log(
        _ level: Logger.Level, _ text: StaticString, _ message: ClaimedMessage, _ failure: Failure? = nil
    ) {
        logger.event(
            level, text, .id("message", message.id), .id("template", message.template.rawValue),
            .count("attempt", message.attempt), .id("sink", sink.name), .id("failure", failure?.rawValue ?? "none"),
            .requestID(message.requestID))
    }
}
