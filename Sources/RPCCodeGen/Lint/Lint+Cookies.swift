import SwiftProtobufPluginLibrary

extension Lint {
    /// Cookies that browsers take from one host alone, over TLS and for all paths (RFC 6265bis, section 4.1.3.2).
    static let cookiePrefix = "__Host-"

    /// What a field in a cookie must be, wherever its message is used.
    mutating func checkCookie(of field: FieldModel, in message: MessageModel) {
        guard let cookie = field.cookie else { return }
        let position = field.descriptor.position(ofOption: .field)
        if !field.isSecret {
            report(position, "\(field.name) travels in a cookie and is not SECRET.", "Write `class: SECRET`.")
        }
        if !field.isText || field.arity != .single || field.rules.format != .identifier || field.rules.maxLength == 0 {
            report(
                position, "\(field.name) travels in a cookie, but could be anything.",
                "Make it a `string` with `format: IDENTIFIER` and a `max_length`.")
        }
        if field.rules.required {
            report(position, "\(field.name) travels in a cookie, and a browser may have none.", "Leave `required` out.")
        }
        if !Self.isCookieName(cookie.name) {
            report(
                position, "\(field.name)'s cookie is named \"\(cookie.name)\".",
                "Write `\(Self.cookiePrefix)` and letters, digits, - or _.")
        }
        if !cookie.maxAge.isEmpty, !message.fields.contains(where: { $0.name == cookie.maxAge && $0.isSeconds }) {
            report(
                position, "\(field.name)'s `max_age` is \"\(cookie.maxAge)\".",
                "Write the name of a `uint32` field beside it.")
        }
    }

    /// Cookies come and go with HTTP, and with the message itself, not with one inside it.
    mutating func checkCookies(of method: MethodModel) {
        for outer in [method.request, method.response] {
            for (index, message) in outer.closure.enumerated() {
                guard let field = message.fields.first(where: { $0.cookie != nil }) else { continue }
                let name = "\(message.fullName).\(field.name)"
                if !method.isExposed {
                    report(
                        method.rulesPosition, "\(method.name) has \(name) in a cookie, but no `http`.",
                        "Leave the field's `http_cookie` out, or add `http`.")
                } else if index > 0 {
                    report(
                        method.rulesPosition, "\(method.name) has \(name) in a cookie, inside another message.",
                        "Put \(field.name) directly into \(outer.fullName).")
                }
            }
        }
    }

    private static func isCookieName(_ name: String) -> Bool {
        name.hasPrefix(cookiePrefix) && name.count > cookiePrefix.count
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    }
}

extension FieldModel {
    fileprivate var isSeconds: Bool {
        guard arity == .single, case .number("uint32") = kind else { return false }
        return true
    }
}
