package import RPCCore

/// The store did not do what it was asked.
package struct DatabaseError: LoggableError, Hashable {
    package enum Kind: String, Sendable {
        /// Too much to do at once; trying again helps.
        case busy
        /// Not reachable, closed or full.
        case unavailable
        /// It went away while it was saving.
        case unknownOutcome = "lost in a commit"
        /// Another transaction got there first.
        case conflict
        /// The file or a row in it is damaged.
        case corrupt
    }

    package let kind: Kind
    /// What was being done, as an operator would say it: `create session`.
    package let operation: String
    /// For the log alone: the engine's code and text, without parameter values.
    package let detail: String
    package var processed: Processed

    /// - Parameter processed: `no` where the whole work is known to have left nothing. Nil: as the kind says, which is
    ///   `maybe` for one that was lost in a commit, else that the handler ran.
    package init(_ kind: Kind, operation: String, detail: String = "", processed: Processed? = nil) {
        self.kind = kind
        self.operation = operation
        self.detail = detail
        self.processed = processed ?? (kind == .unknownOutcome ? .maybe : .yes)
    }

    package var logLine: String {
        "database \(kind.rawValue) in \(operation)" + (detail.isEmpty ? "" : ": \(detail)")
    }
}

extension DatabaseError: ProcessedError {
    /// When a busy store is worth another try.
    private static let retryAfter = Duration.milliseconds(200)

    package var rpcError: RPCError {
        switch kind {
        case .busy:
            RPCError(
                .unavailable, "The store is busy; try again shortly.", reason: "database_busy",
                retryAfter: Self.retryAfter)
        case .unavailable:
            RPCError(.unavailable, "The store is not available; try again later.", reason: "database_unavailable")
        case .unknownOutcome:
            RPCError(
                .unavailable, "The store went away while it was saving; the change may have been made.",
                reason: "database_outcome_unknown")
        case .conflict:
            RPCError(.aborted, "Somebody else changed the same thing; read it again and retry.", reason: "conflict")
        case .corrupt:
            RPCError(.dataLoss, "Stored data is damaged; an operator has to look at it.", reason: "database_corrupt")
        }
    }
}
