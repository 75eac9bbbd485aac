import FoundationEssentials

/// A service's configuration, read and checked once at start.
package struct Configuration: Sendable {
    /// Where files are that are named by a relative path.
    package let state: String
    private let service: String
    private let values: [String: any Sendable]

    /// The variable that names the state directory, and what it is without one.
    package static let stateVariable = "LOCKSTEP_STATE"
    package static let defaultState = ".lockstep"
    /// The variable that names the file. Without it the file is `config.json` in the state directory, and may be
    /// missing.
    package static let fileVariable = "LOCKSTEP_CONFIG"
    package static let defaultFile = "config.json"
    /// Bytes of the largest file that is read.
    private static let maximumFile = 1024 * 1024

    /// The value of a key.
    ///
    /// - Throws: `ConfigProblem.undeclared`, a fault of the program, for a key that the service's table does not list.
    package subscript<Value>(key: ConfigKey<Value>) -> Value {
        get throws {
            guard let value = values[key.name] as? Value else { throw ConfigProblem.undeclared(key: key.name) }
            return value
        }
    }

    /// Where the service listens.
    package var listen: ListenAddress {
        get throws { try self[SharedKeys.listen(service)] }
    }

    /// The path of a file that configuration names.
    package func path(_ key: ConfigKey<StatePath>) throws -> String { try self[key].path(in: state) }

    /// Reads every key of the table.
    ///
    /// - Parameter file: The file's JSON; nil when there is none.
    /// - Throws: `ConfigurationError` with everything that is wrong.
    package static func load(
        _ table: ConfigTable, environment: [String: String], file: String?
    ) throws(ConfigurationError) -> Configuration {
        let sources: ConfigSources
        do {
            sources = try ConfigSources(environment: environment, file: file, path: path(environment))
        } catch {
            throw ConfigurationError(problems: [error])
        }
        return try read(table, sources, state: state(environment))
    }

    /// The same with the file that the environment names.
    package static func load(
        _ table: ConfigTable, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ConfigurationError) -> Configuration {
        let text: String?
        do {
            text = try contents(of: path(environment), isRequired: environment[fileVariable] != nil)
        } catch {
            throw ConfigurationError(problems: [error])
        }
        return try load(table, environment: environment, file: text)
    }

    private static func read(
        _ table: ConfigTable, _ sources: ConfigSources, state: String
    ) throws(ConfigurationError) -> Configuration {
        var problems = table.unknown(in: sources)
        var values: [String: any Sendable] = [:]
        for entry in table.entries {
            do {
                values[entry.name] = try entry.read(sources)
            } catch {
                problems.append(error)
            }
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
        return Configuration(state: state, service: table.service, values: values)
    }

    private static func state(_ environment: [String: String]) -> String { environment[stateVariable] ?? defaultState }

    private static func path(_ environment: [String: String]) -> String {
        environment[fileVariable] ?? "\(state(environment))/\(defaultFile)"
    }

    private static func contents(of path: String, isRequired: Bool) throws(ConfigProblem) -> String? {
        guard FileManager.default.fileExists(atPath: path) else {
            if isRequired { throw .file(path: path, problem: "does not exist; \(fileVariable) names it") }
            return nil
        }
        guard let data = FileManager.default.contents(atPath: path), data.count <= maximumFile else {
            throw .file(path: path, problem: "cannot be read, or is larger than \(maximumFile) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw .file(path: path, problem: "is not UTF-8 text")
        }
        return text
    }
}
