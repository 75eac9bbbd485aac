/// Where a value came from.
package enum ConfigOrigin: Sendable, Hashable, CustomStringConvertible {
    /// The variable's name.
    case environment(String)
    /// The file's path.
    case file(String)

    package var description: String {
        switch self {
        case .environment(let variable): "environment variable \(variable)"
        case .file(let path): path
        }
    }
}

/// One thing that is wrong with the configuration: a line that names the key, where it came from, and what is allowed.
package enum ConfigProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// `value` is nil when it is secret.
    case wrong(key: String, value: String?, origin: ConfigOrigin, allowed: String)
    /// Allowed by itself, and not beside another key's value; the problem begins with a verb.
    case inconsistent(key: String, value: String, problem: String)
    case unknown(key: String, origin: ConfigOrigin, suggestion: String?)
    /// The file as a whole.
    case file(path: String, problem: String)
    /// A fault of the program: a key that its table does not list.
    case undeclared(key: String)

    package var description: String {
        switch self {
        case .wrong(let key, let value, let origin, let allowed):
            "\(key) \(value.map { "is \"\($0)\"" } ?? "is not usable") (\(origin)); allowed: \(allowed)"
        case .inconsistent(let key, let value, let problem): "\(key): \"\(value)\" \(problem)"
        case .unknown(let key, let origin, let suggestion):
            "\(key) is not a key (\(origin))" + (suggestion.map { "; did you mean \($0)?" } ?? "")
        case .file(let path, let problem): "\(path) \(problem)"
        case .undeclared(let key): "\(key) is not in the service's table of keys"
        }
    }
}

/// All that is wrong with a configuration, so that one start shows everything.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package let problems: [ConfigProblem]

    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
