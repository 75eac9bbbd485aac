internal import RPCCore
package import ServiceKit
package import SQL

/// A database as a service's store sees it: what goes wrong in it reaches a caller as `DatabaseError`, without the names
/// of tables and columns. Those are for the log.
///
/// The deadline of a call reaches the database as the cancellation of its task. It is not handed on as a number, since
/// work that outlives its call, such as the saving of tokens that a provider has just replaced, must not end with it.
package struct StoreDatabase: Sendable {
    private let database: Database

    package init(_ database: Database) { self.database = database }

    /// - Throws: what `body` throws; `DatabaseError` or `DownstreamError` in place of `SQLError`.
    package func read<T: Sendable>(_ body: @escaping @Sendable (borrowing Connection) throws -> T) async throws -> T {
        do {
            return try await database.read(body)
        } catch let error as SQLError {
            throw error.forCaller(operation: "reading")
        }
    }

    /// - Throws: what `body` throws; `DatabaseError` or `DownstreamError` in place of `SQLError`.
    package func write<T: Sendable>(
        isolation: Isolation = .serializable, _ body: @escaping @Sendable (borrowing Transaction) throws -> T
    ) async throws -> T {
        do {
            return try await database.write(isolation: isolation, body)
        } catch let error as SQLError {
            throw error.forCaller(operation: "saving")
        }
    }

    /// Brings the schema up to date.
    ///
    /// - Throws: `SQLError`, which the start-up log tells in full.
    package func migrate(_ migrations: [Migration]) async throws { try await database.migrate(migrations) }
}

extension SQLError {
    /// What a caller is told in its place; the text, which names tables and columns, is for the log.
    package func forCaller(operation: String) -> any LoggableError {
        switch kind {
        case .busy, .refused, .timeout: DatabaseError(.busy, operation: operation, detail: message)
        case .closed, .full, .unavailable: DatabaseError(.unavailable, operation: operation, detail: message)
        case .unknownOutcome: DatabaseError(.unknownOutcome, operation: operation, detail: message)
        case .corrupt, .decoding: DatabaseError(.corrupt, operation: operation, detail: message)
        default: DownstreamError(service: "the database", error: RPCError(.internal, message))
        }
    }
}
