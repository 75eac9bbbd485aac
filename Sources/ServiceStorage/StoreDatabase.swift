internal import RPCCore
package import ServiceKit
package import SQL

/// A database as a service's store sees it: what goes wrong in it reaches a caller as `DatabaseError`, without the names
/// of tables and columns. Those are for the log.
///
/// The deadline of a call reaches the database with its task (`HandlerScope`): PostgreSQL stops a statement by itself then,
/// should nobody be there any more to ask for it. Work that outlives its call, such as the saving of tokens that a provider has
/// just replaced, has none, and does not end with it.
package struct StoreDatabase: Sendable {
    private let database: Database

    package init(_ database: Database) { self.database = database }

    /// - Throws: what `body` throws; `DatabaseError` or `DownstreamError` in place of `SQLError`.
    package func read<T: Sendable>(_ body: @escaping @Sendable (borrowing Connection) throws -> T) async throws -> T {
        let scope = HandlerScope.current
        do {
            return try await database.read(deadline: scope?.deadline?.instant.continuous, body)
        } catch let error as SQLError {
            throw Self.told(error, "reading", scope)
        }
    }

    /// - Throws: what `body` throws; `DatabaseError` or `DownstreamError` in place of `SQLError`.
    package func write<T: Sendable>(
        isolation: Isolation = .serializable, _ body: @escaping @Sendable (borrowing Transaction) throws -> T
    ) async throws -> T {
        let scope = HandlerScope.current
        do {
            let value = try await database.write(deadline: scope?.deadline?.instant.continuous, isolation: isolation, body)
            scope?.act()
            return value
        } catch let error as SQLError {
            if !error.isUndone { scope?.act() }
            throw Self.told(error, "saving", scope)
        }
    }

    /// Of SQLite: leaves no earlier image of what was deleted in the log.
    ///
    /// - Returns: false when that has to be tried again.
    package func emptyLog() async throws -> Bool { try await database.emptyLog() }

    private static func told(_ error: SQLError, _ operation: String, _ scope: HandlerScope?) -> any Error {
        // The call has ended by its own deadline, and not because the database is busy.
        if error.kind == .timeout, scope?.deadline?.hasPassed(now: MonotonicInstant.now) == true { return CancellationError() }
        return error.forCaller(operation: operation, isCall: scope != nil)
    }

    /// Brings the schema up to date.
    ///
    /// - Throws: `SQLError`, which the start-up log tells in full.
    package func migrate(_ migrations: [Migration]) async throws { try await database.migrate(migrations) }
}

extension SQLError {
    /// What a caller is told in its place; the text, which names tables and columns, is for the log.
    ///
    /// - Parameter isCall: it is a call's handler that failed, so that somebody sees to it that all of it left nothing.
    package func forCaller(operation: String, isCall: Bool = false) -> any LoggableError {
        let nothing: Processed? = isUndone && isCall ? .no : nil
        return switch kind {
        case .busy, .refused, .timeout: DatabaseError(.busy, operation: operation, detail: message, processed: nothing)
        case .closed, .full, .unavailable: DatabaseError(.unavailable, operation: operation, detail: message, processed: nothing)
        case .unknownOutcome: DatabaseError(.unknownOutcome, operation: operation, detail: message)
        case .corrupt, .decoding: DatabaseError(.corrupt, operation: operation, detail: message)
        default: DownstreamError(service: "the database", error: RPCError(.internal, message))
        }
    }
}
