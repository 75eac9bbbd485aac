/// The credentials of a request (RFC 6750, section 2.1).
package enum BearerToken: Sendable, Hashable {
    case none
    case token(String)
    /// Another scheme, more than one header, or not the syntax of a token.
    case malformed

    /// Bytes of the longest token.
    package static let maximumLength = 8192

    /// - Parameter headers: The values of all `Authorization` fields.
    package init(headers: [String]) {
        guard let header = headers.first else {
            self = .none
            return
        }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard headers.count == 1, parts.count == 2, parts[0].lowercased() == "bearer", Self.isToken(parts[1]) else {
            self = .malformed
            return
        }
        self = .token(String(parts[1]))
    }

    /// `b64token`.
    private static func isToken(_ text: Substring) -> Bool {
        (1...maximumLength).contains(text.utf8.count) && text.utf8.allSatisfy(isTokenByte)
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~+/=".utf8.contains(byte)
        }
    }
}
