/// The HTTP/JSON form of a method.
package struct HTTPRoute: Sendable, Hashable {
    package enum Verb: String, Sendable, Hashable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
        case patch = "PATCH"
    }

    /// One piece of a path between slashes. A literal may hold a `:verb` suffix, as in `email-verifications:resend`.
    package enum Segment: Sendable, Hashable {
        case literal(String)
        /// `{session_id}`: the value of that field of the request.
        case field(String)
    }

    package let verb: Verb
    /// As in the contract: `/v1/sessions/{session_id}`.
    package let template: String
    package let segments: [Segment]
    /// The JSON body is the request, less the fields in the path. Otherwise fields come from the query.
    package let hasBody: Bool
    /// Status of success; 204 sends no body.
    package let success: Int
    /// Seconds that caches may keep the answer; 0 is `no-store`.
    package let maxAge: Int
    /// Parameters of the query without a field are passed over; otherwise they are refused.
    package let ignoresUnknownQuery: Bool
    /// An endpoint for OAuth clients: forms, client credentials and errors as RFC 6749 has them.
    package let isOAuth: Bool

    package init(
        verb: Verb, template: String, segments: [Segment], hasBody: Bool, success: Int, maxAge: Int,
        ignoresUnknownQuery: Bool = false, isOAuth: Bool = false
    ) {
        self.verb = verb
        self.template = template
        self.segments = segments
        self.hasBody = hasBody
        self.success = success
        self.maxAge = maxAge
        self.ignoresUnknownQuery = ignoresUnknownQuery
        self.isOAuth = isOAuth
    }
}
