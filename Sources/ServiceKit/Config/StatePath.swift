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

/// Where a service keeps its data: `sqlite:auth.sqlite`.
package struct DatabaseURL: ConfigValue, Hashable {
    package let file: StatePath

    private static let scheme = "sqlite:"

    package static func sqlite(_ file: StatePath) -> DatabaseURL { DatabaseURL(file: file) }

    private init(file: StatePath) { self.file = file }

    package static var allowed: String { "`sqlite:` and a path; relative ones begin in the state directory" }

    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw, text.hasPrefix(Self.scheme) else { return nil }
        guard let file = StatePath(raw: .text(String(text.dropFirst(Self.scheme.count)))) else { return nil }
        self.file = file
    }

    package var configText: String { Self.scheme + file.text }

    /// The URL with the path that the system knows.
    package func resolved(in state: String) -> String { Self.scheme + file.path(in: state) }
}
