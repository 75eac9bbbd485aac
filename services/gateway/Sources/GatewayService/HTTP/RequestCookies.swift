package import RPCCore

/// The cookies that came with a request (RFC 6265, section 5.4).
package struct RequestCookies: Sendable, Hashable {
    private let headers: [String]

    /// - Parameter headers: The values of all `Cookie` fields: HTTP/2 may cut the one into several (RFC 9113, section
    ///   8.2.3).
    package init(headers: [String] = []) { self.headers = headers }

    /// The value for `field`, where one came that the field can hold. Of two cookies of one name nobody knows which is
    /// meant: then none came.
    package func value(for field: FieldDescriptor) -> String? {
        guard let rule = field.cookie else { return nil }
        let values = headers.flatMap { $0.split(separator: ";") }.compactMap { Self.value(named: rule.name, in: $0) }
        guard values.count == 1, field.allows(values[0]) else { return nil }
        return values[0]
    }

    private static func value(named name: String, in pair: Substring) -> String? {
        let parts = pair.drop { $0 == " " || $0 == "\t" }.split(
            separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == name else { return nil }
        return String(parts[1])
    }
}

extension HTTPHeader {
    /// The cookie that `rule` asks for: sent to this host alone, over TLS, read by no script, and not with what other
    /// sites embed or post (RFC 6265bis, section 5.6).
    ///
    /// - Parameters:
    ///   - value: An identifier.
    ///   - maxAge: Seconds; nil for until the browser closes.
    static func setCookie(_ rule: CookieRule, value: String, maxAge: UInt32?) -> HTTPHeader {
        let age = maxAge.map { "; Max-Age=\($0)" } ?? ""
        return HTTPHeader("Set-Cookie", "\(rule.name)=\(value); Path=/; Secure; HttpOnly; SameSite=Lax\(age)")
    }
}

extension FieldDescriptor {
    /// Whether a text obeys the field's rules and is there at all.
    func allows(_ text: String) -> Bool {
        var check = ContractCheck()
        check.text(name, text, required: true, min: minLength, max: maxLength, format: format)
        return check.violations.isEmpty
    }
}
