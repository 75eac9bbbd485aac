/// One key of configuration, whatever its type: what tables and checks need.
package protocol ConfigEntry: Sendable {
    /// `auth.refresh_grace`: section and name, snake_case.
    var name: String { get }
    /// One sentence.
    var doc: String { get }
    /// What may stand there.
    var allowed: String { get }
    /// As one would write it; nil for a secret.
    var defaultText: String? { get }
    var isSecret: Bool { get }

    /// The value that counts: environment over file over default.
    func read(_ sources: ConfigSources) throws(ConfigProblem) -> any Sendable
}

/// A key with its type, its default and what it allows. Services declare one for each, in one table.
package struct ConfigKey<Value: ConfigValue>: ConfigEntry {
    package let name: String
    package let defaultValue: Value
    package let doc: String
    package let allowed: String
    /// What counts when this one has no value; nil for the default.
    private let fallback: ConfigFallback<Value>?
    private let accepts: @Sendable (Value) -> Bool

    /// Everything that the type allows.
    package init(_ name: String, default: Value, fallback: ConfigFallback<Value>? = nil, doc: String) {
        self.init(name, default: `default`, allowed: Value.allowed, fallback: fallback, doc: doc) { _ in true }
    }

    /// - Parameters:
    ///   - allowed: What may stand there, as it follows "allowed: ".
    ///   - check: Whether a value of the right type may.
    package init(
        _ name: String, default: Value, allowed: String, fallback: ConfigFallback<Value>? = nil, doc: String,
        check: @escaping @Sendable (Value) -> Bool
    ) {
        self.name = name
        self.defaultValue = `default`
        self.doc = doc
        self.allowed = allowed
        self.fallback = fallback
        self.accepts = check
    }

    /// The same key with another default.
    package func defaulting(to value: Value) -> ConfigKey {
        ConfigKey(name, default: value, allowed: allowed, fallback: fallback, doc: doc, check: accepts)
    }

    package var isSecret: Bool { Value.isSecret }
    package var defaultText: String? { isSecret ? nil : defaultValue.configText }

    package func read(_ sources: ConfigSources) throws(ConfigProblem) -> any Sendable {
        if let value = try read(name, sources, allowed: allowed, accepts) { return value }
        guard let fallback else { return defaultValue }
        return try read(fallback.name, sources, allowed: fallback.allowed) { accepts($0) && fallback.accepts($0) } ?? defaultValue
    }

    private func read(
        _ name: String, _ sources: ConfigSources, allowed: String, _ accepts: (Value) -> Bool
    ) throws(ConfigProblem) -> Value? {
        guard let found = sources.find(name, as: Value.form) else { return nil }
        guard let raw = found.raw, let value = Value(raw: raw), accepts(value) else {
            throw .wrong(
                key: name, value: Value.hidesWrongValues ? nil : found.text, origin: found.origin, allowed: allowed)
        }
        return value
    }
}

/// A key that several services share, for those that have no value of their own.
package struct ConfigFallback<Value: ConfigValue>: Sendable {
    let name: String
    /// What may stand there, which may be less than in a service's own.
    let allowed: String
    let accepts: @Sendable (Value) -> Bool
}

extension ConfigKey where Value: Comparable & Sendable {
    /// Values of `range` only.
    package init(_ name: String, default: Value, in range: ClosedRange<Value>, doc: String) {
        let bounds = "from \(range.lowerBound.configText) to \(range.upperBound.configText)"
        self.init(name, default: `default`, allowed: "\(Value.allowed), \(bounds)", doc: doc) { range.contains($0) }
    }
}

extension ConfigKey where Value == String {
    /// One of the given texts only.
    package init(_ name: String, default: String, oneOf texts: [String], doc: String) {
        let allowed = "one of " + texts.map { "`\($0)`" }.joined(separator: ", ")
        self.init(name, default: `default`, allowed: allowed, doc: doc) { texts.contains($0) }
    }
}
