private import Mustache

/// Fills the templates. All of them are parsed when the renderer is made, so a broken one stops the service's start and
/// no delivery.
package struct MailRenderer: Sendable {
    private struct Parsed: Sendable {
        let texts: MailTexts
        let text: MustacheTemplate
        let html: MustacheTemplate
    }

    private let parsed: [MailTemplate: Parsed]
    private let linkBase: String

    /// - Parameter linkBase: Scheme, host and port of the pages that links lead to; without a `/` at the end.
    package init(linkBase: String) throws {
        self.linkBase = linkBase.hasSuffix("/") ? String(linkBase.dropLast()) : linkBase
        var parsed: [MailTemplate: Parsed] = [:]
        for template in MailTemplate.allCases {
            let texts = template.texts
            parsed[template] = Parsed(
                texts: texts,
                text: try MustacheTemplate(string: "{{% CONTENT_TYPE:TEXT}}" + texts.text),
                html: try MustacheTemplate(string: "{{% CONTENT_TYPE:HTML}}" + Self.page(texts.html)))
        }
        self.parsed = parsed
    }

    /// - Returns: nil for a template without texts, which `init` rules out.
    func render(_ mail: Mail) -> MailContent? {
        guard let parsed = parsed[mail.template] else { return nil }
        let view = view(of: mail, linkPath: parsed.texts.linkPath)
        return MailContent(
            subject: parsed.texts.subject, text: parsed.text.render(view), html: parsed.html.render(view))
    }

    private func view(of mail: Mail, linkPath: String?) -> [String: Any] {
        var view: [String: Any] = [:]
        view["token"] = mail.variables["token"]
        view["name"] = mail.name.isEmpty ? nil : Self.shown(mail.name)
        view["facts"] = Self.facts(mail.variables)
        if let linkPath {
            let fragment = mail.variables["token"].map { "#token=\(Self.percentEncoded($0))" } ?? ""
            view["link"] = linkBase + linkPath + fragment
        }
        return view
    }

    private static func facts(_ variables: [String: String]) -> [[String: String]] {
        [("time", "When"), ("address", "From"), ("user_agent", "With")].compactMap { key, label in
            guard let value = variables[key], !value.isEmpty else { return nil }
            return ["label": label, "value": shown(value)]
        }
    }

    /// Characters of a value from outside that are shown; browsers give themselves long names.
    private static let longestShown = 300

    /// Text from outside in one line of bounded length: control characters become spaces.
    private static func shown(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { String($0).hasControlCharacters ? " " : $0 }
        let line = String(String.UnicodeScalarView(scalars))
        return line.count > longestShown ? line.prefix(longestShown) + "…" : line
    }

    /// All but RFC 3986's unreserved characters.
    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            let isUnreserved = byte < 0x80 && (scalar.properties.isAlphabetic || (0x30...0x39).contains(byte))
                || "-._~".utf8.contains(byte)
            return isUnreserved ? String(scalar) : "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }.joined()
    }

    private static func page(_ body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
        <body style="font-family: sans-serif; max-width: 36em">
        \(body)
        </body>
        </html>

        """
    }
}
