import RPCCore

extension CommandFailure {
    /// What a process answered to a command's question, in words for a person.
    ///
    /// Ends with what `lockstep call` ends with, but 66 (EX_NOINPUT) for a name that the process does not know.
    ///
    /// - Parameters:
    ///   - cert: As whom it was asked.
    ///   - lookup: A sentence on what shows the names that there are.
    init(_ error: RPCError, from target: LiveTarget, cert: String, lookup: String = "") {
        let status = CallReport(error: error).status
        switch error.code {
        case .permissionDenied where error.reason == "caller_not_allowed":
            self.init("\(cert) may not ask; the operator's certificate may.", status: status)
        case .notFound:
            self.init([error.message, lookup].filter { !$0.isEmpty }.joined(separator: " "), status: 66)
        case .unavailable where error.processed == .no && !error.reason.hasPrefix("database_"):
            self.init("\(target.text) does not answer: \(error.message)", status: status)
        default:
            var lines = [error.message] + error.violations.map { "  \($0.field): \($0.message)" }
            // A refusal that was thought about changed nothing; what ended without an answer may have.
            let isRefusal = [.invalidArgument, .outOfRange, .failedPrecondition, .alreadyExists, .aborted, .permissionDenied,
                             .unauthenticated, .unimplemented].contains(error.code)
            if error.processed != .no, !isRefusal { lines.append("It may have been done all the same: look before you do it again.") }
            self.init(lines.joined(separator: "\n"), status: status)
        }
    }
}
