/// What a read and a write body have in common: statements that return rows.
///
/// The conforming types are not copyable, so a body cannot keep one for later or hand it to another thread.
package protocol Queries: ~Copyable {
    /// The connection itself; for this module's use.
    var handle: SessionHandle { get }
}

/// Wraps a driver's session, which stays internal to this module.
package struct SessionHandle {
    let session: any Session
}

/// The largest result one statement may return: a larger one needs a key range in its SQL.
private let rowLimit = 100_000

extension Queries where Self: ~Copyable {
    /// All rows of a statement.
    package func query(_ sql: String, _ parameters: Parameters = .none) throws -> [Row] {
        try handle.session.query(sql, parameters, limit: rowLimit)
    }

    /// All rows of a statement, each decoded.
    package func query<T>(_ sql: String, _ parameters: Parameters = .none, _ decode: (Row) throws -> T) throws -> [T] {
        try query(sql, parameters).map(decode)
    }

    /// The row of a statement that returns at most one.
    package func first(_ sql: String, _ parameters: Parameters = .none) throws -> Row? {
        try handle.session.query(sql, parameters, limit: 1).first
    }

    /// The decoded row of a statement that returns at most one.
    package func first<T>(_ sql: String, _ parameters: Parameters = .none, _ decode: (Row) throws -> T) throws -> T? {
        try first(sql, parameters).map(decode)
    }

    /// The row of a statement that returns exactly one, such as `INSERT ... RETURNING`.
    package func one(_ sql: String, _ parameters: Parameters = .none) throws -> Row {
        guard let row = try first(sql, parameters) else {
            throw SQLError(.noRow, "no row from: \(sql)")
        }
        return row
    }

    /// The decoded row of a statement that returns exactly one.
    package func one<T>(_ sql: String, _ parameters: Parameters = .none, _ decode: (Row) throws -> T) throws -> T {
        try decode(one(sql, parameters))
    }
}

/// A read body's connection: one committed snapshot, no changes.
package struct Connection: Queries, ~Copyable {
    package let handle: SessionHandle

    init(_ session: any Session) {
        handle = SessionHandle(session: session)
    }
}

/// A write body's transaction: commits when the body returns, rolls back when it throws.
package struct Transaction: Queries, ~Copyable {
    package let handle: SessionHandle

    init(_ session: any Session) {
        handle = SessionHandle(session: session)
    }

    /// Runs a statement without a result.
    ///
    /// - Returns: the number of rows it inserted, updated or deleted.
    @discardableResult
    package func execute(_ sql: String, _ parameters: Parameters = .none) throws -> Int {
        try handle.session.execute(sql, parameters)
    }

    /// Inserts many rows at once: COPY on PostgreSQL. Every value is of its column's own type.
    ///
    /// - Parameters:
    ///   - rows: each in the order of `columns`; some thousands, since all are in memory.
    ///   - key: rows whose value of this unique column is there already are left out; nil makes them an error.
    /// - Returns: how many rows were inserted.
    @discardableResult
    package func insert(
        into table: String, columns: [String], rows: [[Value]], unlessKnownBy key: String? = nil
    ) throws -> Int {
        guard rows.allSatisfy({ $0.count == columns.count }) else { throw SQLError.misuse("rows do not fit their columns") }
        return rows.isEmpty
            ? 0 : try handle.session.insert(into: table, columns: columns, rows: rows, unlessKnownBy: key)
    }

    /// Several statements at once, without parameters.
    func script(_ sql: String) throws {
        try handle.session.script(sql)
    }
}
