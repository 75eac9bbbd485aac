import Foundation

/// Checks that a service's README lists every key of its configuration.
package enum ReadmeKeys {
    /// The README of `services/NAME`.
    package static func text(of service: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "services/\(service)/README.md"), encoding: .utf8)
    }

    /// The rows of `markdown` whose first two cells, key and default, are in no row of the README.
    package static func missing(readme: String, markdown: String) -> [String] {
        let present = Set(rows(readme))
        return rows(markdown).filter { !present.contains($0) }
    }

    private static func rows(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().prefix(2)
                .map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " | ")
        }
    }
}
