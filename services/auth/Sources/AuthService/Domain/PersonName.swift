internal import ServiceKit

/// A display name as given: trimmed of nothing, free of control characters, possibly empty.
package struct PersonName: Sendable, Hashable {
    package let text: String

    private static let maximumLength = 200

    /// - Throws: `AuthError.invalidField("name")`.
    package init(_ text: String) throws {
        guard text.utf8.count <= Self.maximumLength else {
            throw AuthError.invalidField("name", "A name has at most \(Self.maximumLength) bytes.")
        }
        guard text.unicodeScalars.allSatisfy({ !$0.isControl }) else {
            throw AuthError.invalidField("name", "A name has no line ends or control characters.")
        }
        self.text = text
    }

    /// Words that must not make up a password.
    var words: [String] { text.split(separator: " ").map(String.init) }
}

/// Where a request came from, bounded and cleaned for rows. Personal data: never for logs.
package struct Origin: Sendable, Hashable {
    package let address: String
    package let userAgent: String
    package let requestID: String

    /// What one client owns: its address, or the /64 of an IPv6 one.
    var network: String { ClientAddress(address)?.bucketKey ?? address }

    /// Where such clients are handed out by the thousand: the /48 of an IPv6 address, the /24 of an IPv4 one.
    var site: String { ClientAddress(address)?.siteKey ?? address }

    private static let maximumAddressLength = 64
    private static let maximumUserAgentLength = 256

    package init(address: String, userAgent: String, requestID: String) {
        self.address = Self.clean(address, maximum: Self.maximumAddressLength)
        self.userAgent = Self.clean(userAgent, maximum: Self.maximumUserAgentLength)
        self.requestID = requestID
    }

    private static func clean(_ text: String, maximum: Int) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { !$0.isControl }.prefix(maximum)))
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool {
        properties.generalCategory == .control || properties.generalCategory == .lineSeparator
            || properties.generalCategory == .paragraphSeparator
    }
}
