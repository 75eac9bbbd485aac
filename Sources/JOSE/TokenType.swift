/// The `typ` header of a token: what keeps one kind of token from being taken for another (RFC 8725 section 3.11).
package struct TokenType: RawRepresentable, Hashable, Sendable {
    package let rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    /// An access token (RFC 9068 section 2.1).
    package static let accessToken = TokenType(rawValue: "at+jwt")
    /// The end user's identity as the gateway states it to the services behind it.
    package static let userIdentity = TokenType(rawValue: "lockstep-id+jwt")

    /// Whether a header's `typ` is this type: letter case and the prefix `application/` do not count (RFC 7515 4.1.9).
    func matches(_ text: String?) -> Bool {
        guard var text = text?.lowercased() else { return false }
        if text.hasPrefix("application/") { text.removeFirst("application/".count) }
        return text == rawValue.lowercased()
    }
}
