import Foundation
import SQL

extension Database {
    /// Opens a database that is there: a path that was mistyped must not become an empty one, which would be taken for the data.
    ///
    /// - Parameters:
    ///   - url: `sqlite:<path>`, where a relative path begins in the current folder, or `postgres://...`.
    ///   - advice: The next step where SQLite's file is missing.
    /// - Throws: `CommandFailure` with status 66 (EX_NOINPUT) where it is missing; `SQLError`.
    static func existing(_ url: String, advice: String) async throws -> Database {
        try requireFile(of: url, advice: advice)
        var options = Options()
        options.mayCreate = false
        return try await open(url: url, options: options)
    }

    /// - Throws: `CommandFailure` with status 66 where SQLite's file is missing.
    static func requireFile(of url: String, advice: String) throws {
        guard let path = sqlitePath(url), !FileManager.default.fileExists(atPath: path) else { return }
        throw CommandFailure("\(path): no such file. \(advice)", status: 66)
    }

    /// The file's path; nil for another engine.
    static func sqlitePath(_ url: String) -> String? {
        let scheme = "sqlite:"
        return url.hasPrefix(scheme) ? String(url.dropFirst(scheme.count)) : nil
    }

    /// How a person knows it, without a password.
    static func shown(_ url: String) -> String { sqlitePath(url) ?? "The PostgreSQL database" }
}
