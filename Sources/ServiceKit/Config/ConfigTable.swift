/// Every key of one service.
package struct ConfigTable: Sendable {
    /// `auth`: also the section of the service's own keys.
    package let service: String
    /// The service's own keys, then the shared ones.
    package let entries: [any ConfigEntry]
    /// The sections of the file in which every key must be one of `entries`.
    private let ownSections: [String]

    /// - Parameters:
    ///   - keys: The service's own; the shared ones are added. Keys in another service's section may be read, and are
    ///     that service's to check.
    ///   - callsOut: Whether it has peers. SYNC services have none.
    package init(service: String, keys: [any ConfigEntry], callsOut: Bool = true) {
        self.service = service
        self.entries = keys + SharedKeys.all(for: service, callsOut: callsOut)
        self.ownSections = [service, "tls", "identity", "log"] + (callsOut ? ["peers"] : [])
    }

    /// The table for the service's README: one row for each key.
    package var markdown: String {
        let head = "| key | default | what it is | allowed |\n|---|---|---|---|\n"
        return head + entries.map(Self.row).joined()
    }

    private static func row(_ entry: any ConfigEntry) -> String {
        let value = entry.defaultText.map { $0.isEmpty ? "empty" : "`\($0)`" } ?? "secret"
        return "| `\(entry.name)` | \(value) | \(entry.doc) | \(entry.allowed) |\n"
    }
}

// MARK: Keys that nobody knows

extension ConfigTable {
    /// Sections of the house: a file may hold keys of all services.
    private static let sections =
        ServiceName.allCases.map(\.rawValue) + ["operator", "tls", "identity", "log", "peers", "database"]

    /// Keys of the file and variables of the environment that are in one of our sections and in no table.
    func unknown(in sources: ConfigSources) -> [ConfigProblem] {
        sources.fileKeys.compactMap { unknown(fileKey: $0, sources.fileOrigin) }
            + sources.variables.compactMap(unknown(variable:))
    }

    private func unknown(fileKey key: String, _ origin: ConfigOrigin) -> ConfigProblem? {
        let names = entries.map(\.name)
        guard !names.contains(key) else { return nil }
        let section = String(key.prefix { $0 != "." })
        guard ownSections.contains(section) else {
            guard !Self.sections.contains(section) else { return nil }
            let meant = EditDistance.closest(to: section, of: Self.sections)
            return .unknown(key: key, origin: origin, suggestion: meant.map { $0 + key.dropFirst(section.count) })
        }
        return .unknown(key: key, origin: origin, suggestion: EditDistance.closest(to: key, of: names))
    }

    /// Variables of the service's own section only: others may be for tools that we do not know.
    private func unknown(variable: String) -> ConfigProblem? {
        guard variable.hasPrefix(ConfigSources.variable(of: service) + "_") else { return nil }
        let names = entries.map { ConfigSources.variable(of: $0.name) }
        guard !names.contains(variable) else { return nil }
        return .unknown(
            key: variable, origin: .environment(variable),
            suggestion: EditDistance.closest(to: variable, of: names))
    }
}
