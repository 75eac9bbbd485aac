package import Logging
package import RPCCore

/// One line for every call: who called what, how it ended, where the time went.
package final class CallLog: ServerObserver {
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    package func callEnded(_ record: CallRecord) {
        let level = level(of: record)
        // Who used the emergency lane is on record whatever is logged otherwise.
        let isAudit = record.context.lane == .emergency
        guard isAudit || level >= logger.logLevel else { return }
        var logger = logger
        if isAudit { logger.logLevel = min(level, logger.logLevel) }
        var fields: [LogField] = [
            .request(record.context), .method(record.context.method), .peer(record.context.peer), .code(record.code),
            .duration("queued", record.queued), .duration("ran", record.ran),
        ]
        if let trace = record.context.trace { fields.append(.id("trace_id", trace.traceID.description)) }
        if record.context.attempt > 1 { fields.append(.count("attempt", record.context.attempt)) }
        if isAudit { fields += Self.audit(record.context) }
        if let error = record.error { fields += [.reason(of: error), .error(error)] }
        logger.event(level, "call", fields)
    }

    package func callRefused(_ refusal: CallRefusal) {
        var fields: [LogField] = [
            .peer(refusal.peer), .code(refusal.error.code), .id("reason", refusal.error.reason),
            .requestID(refusal.requestID ?? "-"),
        ]
        fields.append(refusal.method.map { .method($0) } ?? .count("method_id", refusal.methodID))
        logger.event(.notice, "call refused", fields)
    }

    package func connectionOpened(peer: PeerIdentity) { logger.event(.debug, "connection opened", .peer(peer)) }

    package func connectionClosed(peer: PeerIdentity?, reason: String) {
        logger.event(.debug, "connection closed", peer.map { [LogField.peer($0)] } ?? [])
    }

    /// Who used the emergency lane: the user's id, which is ours and names nobody.
    private static func audit(_ context: CallContext) -> [LogField] {
        [.word("lane", "emergency")] + (context.user.map { [.id("user", $0.subject)] } ?? [])
    }

    /// What services ask each other all the time (health, keys, revocations) would fill the log: at `debug`, unless it
    /// fails. Each use of the emergency lane is on record.
    private func level(of record: CallRecord) -> Logger.Level {
        let method = record.context.method
        return switch record.code {
        case .internal, .unknown, .dataLoss: .error
        case _ where record.context.lane == .emergency: .notice
        case .ok where method.exposure == .internal && method.idempotency == .noSideEffects: .debug
        default: .info
        }
    }
}

extension LogField {
    fileprivate static func reason(of error: any Error) -> LogField {
        let reason = RPCError.fromHandler(error).reason
        return .id("reason", reason.isEmpty ? "-" : reason)
    }
}
