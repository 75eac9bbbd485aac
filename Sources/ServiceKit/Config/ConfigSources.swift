import Configuration

/// Environment and file, in the order in which they count.
package struct ConfigSources: Sendable {
    /// Every variable begins with it.
    static let prefix = "lockstep"

    private let environment: EnvironmentVariablesProvider
    private let file: JSONSnapshot?
    private let path: String
    /// What the file holds, as dotted keys.
    let fileKeys: [String]
    /// The variables that begin with `LOCKSTEP_`.
    let variables: [String]

    /// - Parameter text: The file's JSON; nil when there is none.
    init(environment: [String: String], file text: String?, path: String) throws(ConfigProblem) {
        self.environment = EnvironmentVariablesProvider(environmentVariables: environment)
        self.path = path
        self.variables = environment.keys.filter { $0.hasPrefix(Self.prefix.uppercased() + "_") }.sorted()
        self.fileKeys = try text.map { text throws(ConfigProblem) in try FlatJSON.keys(of: text, path: path) } ?? []
        self.file = try text.map { text throws(ConfigProblem) in try Self.snapshot(text, path) }
    }

    /// A value that somebody set.
    struct Found {
        /// Nil when it has not the form that was asked for.
        let raw: RawConfigValue?
        /// For the error: the value as it stands there.
        let text: String
        let origin: ConfigOrigin
    }

    func find(_ key: String, as form: ConfigForm) -> Found? {
        find(inEnvironment: key, form) ?? find(inFile: key, form)
    }

    var fileOrigin: ConfigOrigin { .file(path) }

    /// `auth.refresh_grace` -> `LOCKSTEP_AUTH_REFRESH_GRACE`.
    static func variable(of key: String) -> String {
        (prefix + "_" + key.map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()).uppercased()
    }

    private func find(inEnvironment name: String, _ form: ConfigForm) -> Found? {
        let key = AbsoluteConfigKey([Self.prefix] + name.split(separator: ".").map(String.init))
        guard let text = Self.content(environment, key, .string)?.text else { return nil }
        let raw = Self.content(environment, key, form.type).flatMap(RawConfigValue.init)
        return Found(raw: raw, text: text, origin: .environment(Self.variable(of: name)))
    }

    private func find(inFile name: String, _ form: ConfigForm) -> Found? {
        guard let file, fileKeys.contains(name) else { return nil }
        let key = AbsoluteConfigKey(name.split(separator: ".").map(String.init))
        let raw = Self.content(file, key, form.type).flatMap(RawConfigValue.init)
        let types: [ConfigType] = [.string, .stringArray, .double, .doubleArray]
        let shown = types.lazy.compactMap { Self.content(file, key, $0) }.first
        return Found(raw: raw, text: shown?.text ?? "null", origin: fileOrigin)
    }

    private static func content(
        _ source: EnvironmentVariablesProvider, _ key: AbsoluteConfigKey, _ type: ConfigType
    ) -> ConfigContent? {
        (try? source.value(forKey: key, type: type))?.value?.content
    }

    private static func content(
        _ source: JSONSnapshot, _ key: AbsoluteConfigKey, _ type: ConfigType
    ) -> ConfigContent? {
        (try? source.value(forKey: key, type: type))?.value?.content
    }

    private static func snapshot(_ text: String, _ path: String) throws(ConfigProblem) -> JSONSnapshot {
        let bytes = Array(text.utf8)
        do {
            return try JSONSnapshot(data: bytes.span.bytes, providerName: path, parsingOptions: .default)
        } catch {
            throw .file(path: path, problem: "holds a value that configuration cannot have: \(error)")
        }
    }
}

extension ConfigForm {
    fileprivate var type: ConfigType {
        switch self {
        case .text: .string
        case .number: .int
        case .flag: .bool
        case .list: .stringArray
        }
    }
}

extension RawConfigValue {
    fileprivate init?(_ content: ConfigContent) {
        switch content {
        case .string(let text): self = .text(text)
        case .int(let number): self = .number(number)
        case .bool(let flag): self = .flag(flag)
        case .stringArray(let list): self = .list(list)
        case .double, .bytes, .intArray, .doubleArray, .boolArray, .byteChunkArray: return nil
        }
    }
}

extension ConfigContent {
    /// As an error shows it.
    fileprivate var text: String {
        switch self {
        case .string(let text): text
        case .stringArray(let list): list.joined(separator: ",")
        case .double(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
        case .doubleArray(let list): list.map { "\($0)" }.joined(separator: ",")
        default: "a value of another kind"
        }
    }
}
