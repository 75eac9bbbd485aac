package import SwiftProtobuf

/// Writes a message for people and logs: what is OPEN as it is, everything else as a placeholder such as `<SECRET>`.
/// Fields that are not set, and fields that this build does not know, are left out.
package struct RedactedText {
    /// Characters of an OPEN text that are shown.
    package static let shownCharacters = 128
    /// Items of an OPEN list that are shown.
    package static let shownItems = 16

    private let name: String
    private var parts: [String] = []

    /// - Parameter name: The message's, without its package.
    package init(_ name: String) { self.name = name }

    /// `CreateSessionRequest(email: <PII>, password: <SECRET>)`
    package var description: String { "\(name)(\(parts.joined(separator: ", ")))" }

    /// A field whose value nobody may see.
    package mutating func hidden(_ field: String, _ dataClass: DataClass, if isSet: Bool) {
        if isSet { parts.append("\(field): \(dataClass.placeholder)") }
    }

    /// A number, truth value or enumeration.
    package mutating func value(_ field: String, _ value: some Any, if isSet: Bool) {
        if isSet { parts.append("\(field): \(value)") }
    }

    package mutating func text(_ field: String, _ value: String) {
        if !value.isEmpty { parts.append("\(field): \(Self.quoted(value))") }
    }

    /// Bytes are shown as their number.
    package mutating func bytes(_ field: String, _ value: some Collection<UInt8>) {
        if !value.isEmpty { parts.append("\(field): \(value.count) bytes") }
    }

    /// An instant or a duration, as JSON has it.
    package mutating func time(_ field: String, _ value: some Message, if isSet: Bool) {
        if isSet { parts.append("\(field): \((try? value.jsonString()) ?? "?")") }
    }

    package mutating func message(_ field: String, _ value: some ContractMessage, if isSet: Bool) {
        if isSet { parts.append("\(field): \(value.redactedDescription)") }
    }

    /// Numbers, truth values or enumerations.
    package mutating func values(_ field: String, _ values: [some Any]) {
        items(field, values.prefix(Self.shownItems).map { "\($0)" }, of: values.count)
    }

    package mutating func texts(_ field: String, _ values: [String]) {
        items(field, values.prefix(Self.shownItems).map(Self.quoted), of: values.count)
    }

    package mutating func messages(_ field: String, _ values: [some ContractMessage]) {
        items(field, values.prefix(Self.shownItems).map(\.redactedDescription), of: values.count)
    }

    package mutating func times(_ field: String, _ values: [some Message]) {
        items(field, values.prefix(Self.shownItems).map { (try? $0.jsonString()) ?? "?" }, of: values.count)
    }

    /// Lists of bytes and maps are shown as their number of items.
    package mutating func count(_ field: String, _ count: Int) {
        if count > 0 { parts.append("\(field): \(count) items") }
    }

    private mutating func items(_ field: String, _ shown: [String], of count: Int) {
        guard count > 0 else { return }
        let rest = count > shown.count ? ["and \(count - shown.count) more"] : []
        parts.append("\(field): [\((shown + rest).joined(separator: ", "))]")
    }

    /// Quoted, with control characters escaped, so that no value can forge a line of a log.
    private static func quoted(_ text: String) -> String {
        let shown = text.prefix(shownCharacters)
        return String(shown).debugDescription + (shown.endIndex == text.endIndex ? "" : "…")
    }
}

extension DataClass {
    /// What stands for a value of this class in logs: `<SECRET>`.
    package var placeholder: String {
        switch self {
        case .open: "<OPEN>"
        case .pii: "<PII>"
        case .phi: "<PHI>"
        case .secret: "<SECRET>"
        }
    }
}
