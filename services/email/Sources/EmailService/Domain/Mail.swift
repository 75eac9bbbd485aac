private import Foundation
private import LibCrypto

/// What is asked to be sent: whom to, which template, with which values. All of it is personal or secret, so it has no
/// description and is stored only sealed.
package struct Mail: Sendable, Hashable, Codable {
    package var template: MailTemplate
    package var to: String
    package var name: String
    package var variables: [String: String]

    package init(template: MailTemplate, to: String, name: String = "", variables: [String: String] = [:]) {
        self.template = template
        self.to = to
        self.name = name
        self.variables = variables
    }

    /// The same content is the same bytes: keys are sorted.
    package func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }

    package init(encoded bytes: [UInt8]) throws {
        self = try JSONDecoder().decode(Mail.self, from: Data(bytes))
    }

    /// SHA-256 over the content. An address alone is guessable, so this too is stored only sealed.
    package func digest() throws -> [UInt8] {
        try SHA256.hash(encoded())
    }
}

extension Mail: CustomStringConvertible, CustomReflectable {
    package var description: String { "Mail(\(template.rawValue), redacted)" }
    package var customMirror: Mirror { Mirror(self, children: ["template": template.rawValue]) }
}
