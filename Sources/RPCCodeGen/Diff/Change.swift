/// One difference between two states of a contract, and whether who was built with the old one can go on.
package struct Change: Sendable, Hashable {
    package enum Verdict: String, Sendable, Encodable {
        /// Something that was allowed or promised no longer is.
        case breaking
        /// Whoever obeyed and relied on the old contract still may.
        case compatible
    }

    /// Which state `position` is in: the old one for what is gone.
    package enum Side: String, Sendable, Encodable {
        case old
        case new
    }

    package let verdict: Verdict
    package let rule: Rule
    /// `lockstep.auth.v1.AuthService/CreateSession`, a service's, a message's or a field's full name.
    package let subject: String
    /// What it was and what it is.
    package let text: String
    package let position: Position
    package let side: Side
}

extension Change {
    /// What a change is about. Whether it breaks depends on its direction.
    package enum Rule: String, Sendable, CaseIterable, Encodable {
        // Services.
        case service
        case execution
        case hosting
        // Methods: who may call them, how, and with what outcome.
        case method
        case methodID = "method-id"
        case kind
        case caller
        case exposure
        case optionalUser = "optional-user"
        case role
        case emergencyRole = "emergency-role"
        case cost
        case inlineLimit = "inline-limit"
        case lane
        case idempotency
        case onCancel = "on-cancel"
        case compression
        // Methods: how much.
        case deadline
        case requestLimit = "request-limit"
        case responseLimit = "response-limit"
        case concurrency
        case adaptive
        case rate
        // Methods: their HTTP form.
        case route
        case routeBody = "route-body"
        case routeSuccess = "route-success"
        case routeCaching = "route-caching"
        case routeQuery = "route-query"
        // Fields.
        case field
        case dataClass = "class"
        case required
        case length
        case format
        case cookie
    }
}

extension Change: Encodable {
    private enum Key: CodingKey { case verdict, rule, subject, text, side, file, line, column }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(verdict, forKey: .verdict)
        try container.encode(rule, forKey: .rule)
        try container.encode(subject, forKey: .subject)
        try container.encode(text, forKey: .text)
        try container.encode(side, forKey: .side)
        try container.encode(position.file, forKey: .file)
        try container.encode(position.line, forKey: .line)
        try container.encode(position.column, forKey: .column)
    }
}
