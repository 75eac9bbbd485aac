/// A file's path; a relative one begins in the state directory.
package struct StatePath: ConfigValue, Hashable, ExpressibleByStringLiteral {
    package let text: String

    package init(_ text: String) { self.text = text }
    package init(stringLiteral value: String) { text = value }

    package static var allowed: String { "a path; relative ones begin in the state directory" }

    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw, !text.isEmpty, !text.contains("\0") else { return nil }
        self.text = text
    }

    package var configText: String { text }

    /// The path for the system, with `state` in front of a relative one.
    package func path(in state: String) -> String { text.hasPrefix("/") ? text : "\(state)/\(text)" }
}

/// Where a service keeps its data: `sqlite:auth.sqlite`, or `postgres://...`, whose password is never shown.
package enum DatabaseURL: ConfigValue, Hashable {
    case sqlite(StatePath)
    case postgres(Redacted<String>)

    private static let scheme = "sqlite:"

    package static var allowed: String {
        "`sqlite:` and a path, where relative ones begin in the state directory; or `postgres://user:password@host:5432/name`"
    }

    /// A wrong one may hold a password.
    package static var hidesWrongValues: Bool { true }

    /// What follows `postgres://` is the driver's to check.
    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(Redacted(text))
        } else {
            guard text.hasPrefix(Self.scheme) else { return nil }
            guard let file = StatePath(raw: .text(String(text.dropFirst(Self.scheme.count)))) else { return nil }
            self = .sqlite(file)
        }
    }

    package var configText: String {
        switch self {
        case .sqlite(let file): Self.scheme + file.text
        case .postgres: "postgres://\(SecretPlaceholder.text)"
        }
    }

    /// The URL for the driver: with the path that the system knows, or with the schema of the service, so that one URL
    /// serves all.
    package func resolved(in state: String, schema: String) -> String {
        switch self {
        case .sqlite(let file): return Self.scheme + file.path(in: state)
        case .postgres(let url):
            return url.withExposed { url in
                if Self.namesASchema(url) { return url }
                return url + (url.contains("?") ? "&" : "?") + "schema=\(schema)"
            }
        }
    }

    /// Whether each of several services finds a place of its own there: not in one file, and not in one schema.
    package var canServeMany: Bool {
        switch self {
        case .sqlite: false
        case .postgres(let url): url.withExposed { !Self.namesASchema($0) }
        }
    }

    private static func namesASchema(_ url: String) -> Bool { url.contains("?schema=") || url.contains("&schema=") }
}

extension ConfigKey<DatabaseURL> {
    /// Without a value of its own, a service uses the one that all share: `LOCKSTEP_DATABASE_URL`. Each has a schema of its
    /// own there.
    package static let sharedDatabase = ConfigFallback<DatabaseURL>(
        name: "database.url",
        allowed: "`postgres://user:password@host:5432/name` without `schema`, since each service has one of its own name"
    ) { $0.canServeMany }

    /// Where a service keeps its data, in a schema of its name.
    package static func database(of service: String, _ doc: String) -> ConfigKey {
        ConfigKey(
            "\(service).database", default: .sqlite(StatePath("\(service).sqlite")), fallback: sharedDatabase, doc: doc)
    }
}

extension Configuration {
    /// The URL of a service's database, for the driver.
    package func databaseURL(_ key: ConfigKey<DatabaseURL>) throws -> String {
        try self[key].resolved(in: state, schema: String(key.name.prefix { $0 != "." }))
    }
}
