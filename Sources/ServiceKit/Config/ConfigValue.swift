/// A value as environment and file hold it, before it has a meaning.
package enum RawConfigValue: Sendable, Hashable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case list([String])
}

/// The form in which a type of value is written: text in the environment always, JSON's own forms in the file.
package enum ConfigForm: Sendable, Hashable {
    case text
    case number
    case flag
    case list
}

/// A type that configuration can hold.
package protocol ConfigValue: Sendable {
    static var form: ConfigForm { get }
    /// What may stand there, as it follows "allowed: ".
    static var allowed: String { get }
    /// Never shown in an error or a table.
    static var isSecret: Bool { get }

    /// Not shown in an error, since it may be a secret that was meant otherwise.
    static var hidesWrongValues: Bool { get }

    /// Nil when the raw value is none of what is allowed.
    init?(raw: RawConfigValue)
    /// The value as one would write it.
    var configText: String { get }
}

extension ConfigValue {
    package static var form: ConfigForm { .text }
    package static var isSecret: Bool { false }
    package static var hidesWrongValues: Bool { isSecret }
}

extension String: ConfigValue {
    package static var allowed: String { "text" }
    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        self = text
    }
    package var configText: String { self }
}

extension Int: ConfigValue {
    package static var form: ConfigForm { .number }
    package static var allowed: String { "a whole number" }
    package init?(raw: RawConfigValue) {
        guard case .number(let number) = raw else { return nil }
        self = number
    }
    package var configText: String { String(self) }
}

extension Bool: ConfigValue {
    package static var form: ConfigForm { .flag }
    package static var allowed: String { "true or false" }
    package init?(raw: RawConfigValue) {
        guard case .flag(let flag) = raw else { return nil }
        self = flag
    }
    package var configText: String { String(self) }
}

extension [String]: ConfigValue {
    package static var form: ConfigForm { .list }
    package static var allowed: String { "a list of texts (in the environment separated by commas)" }
    package init?(raw: RawConfigValue) {
        guard case .list(let list) = raw else { return nil }
        self = list
    }
    package var configText: String { joined(separator: ",") }
}

extension Redacted: ConfigValue where Value == String {
    package static var allowed: String { "text" }
    package static var isSecret: Bool { true }
    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        self.init(text)
    }
    package var configText: String { SecretPlaceholder.text }
}

/// Enumerations with texts list what they allow by themselves.
extension ConfigValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    package static var allowed: String { "one of " + allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") }
    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        self.init(rawValue: text)
    }
    package var configText: String { rawValue }
}
