import Foundation
import SQL
import TestSupport
import Testing

/// A folder with a database file, removed afterwards.
final class Fixture: Sendable {
    let folder: URL
    let url: String

    init() async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("sql-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        url = try await Engine.current.freshURL(folder.appendingPathComponent("test.sqlite").path)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    var path: String { folder.appendingPathComponent("test.sqlite").path }

    func open(_ change: (inout Database.Options) -> Void = { _ in }) async throws -> Database {
        try await open(url: url, change)
    }

    private func open(url: String, _ change: (inout Database.Options) -> Void) async throws -> Database {
        var options = Database.Options()
        change(&options)
        return try await Database.open(url: url, options: options)
    }

    /// A database with one thread for writes, so that who holds it keeps others waiting.
    func openNarrow(_ change: (inout Database.Options) -> Void = { _ in }) async throws -> Database {
        let database = try await open(
            url: url + (Engine.current == .postgres ? "&pool_size=1&pool_overflow=0" : ""), change)
        try await database.migrate([.items])
        return database
    }

    /// A database with `items(id, name, parent)`.
    func openWithItems(_ change: (inout Database.Options) -> Void = { _ in }) async throws -> Database {
        let database = try await open(change)
        try await database.migrate([.items])
        return database
    }
}

extension Migration {
    static let items = Migration(
        version: 1, name: "items",
        sql: """
            CREATE TABLE items (
                id BIGINT PRIMARY KEY,
                name TEXT NOT NULL UNIQUE CHECK (length(name) < 20),
                parent BIGINT REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED,
                blob BYTEA,
                flag BOOLEAN NOT NULL DEFAULT FALSE
            );
            CREATE INDEX items_parent ON items (parent);
            """)
}

extension Database {
    func insert(_ id: Int, _ name: String? = nil) async throws {
        try await write { transaction in
            try transaction.insert(id, name)
        }
    }

    func count() async throws -> Int {
        try await read { try $0.one("SELECT count(*) AS n FROM items").get("n", as: Int.self) }
    }
}

extension Transaction {
    func insert(_ id: Int, _ name: String? = nil) throws {
        try execute("INSERT INTO items (id, name) VALUES (:id, :name)", ["id": id, "name": name ?? "item \(id)"])
    }
}

/// Holds a database thread inside a body until it is opened.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let entered = AsyncStream<Void>.makeStream()

    /// Called in a body: says that it is there, then blocks its thread.
    func hold() {
        entered.continuation.yield()
        semaphore.wait()
    }

    func waitUntilHeld() async {
        for await _ in entered.stream { return }
    }

    func open() {
        semaphore.signal()
    }
}

/// The kind of the `SQLError` that `body` throws; nil when it throws none.
func failure(_ body: () async throws -> Void) async -> SQLError.Kind? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? SQLError)?.kind
    }
}
