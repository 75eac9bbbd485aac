/// Everything that a database can answer instead of a result.
///
/// `message` and `description` name statements, tables and columns; never a parameter's value, so they may be logged.
package struct SQLError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// A constraint refused the change: which.
        case constraint(Constraint)
        /// Another process held the lock for longer than the busy timeout.
        case busy
        /// The queue of waiting work is full: the caller should back off.
        case refused
        /// The deadline passed while queued, or the statement ran for longer than allowed.
        case timeout
        /// The database has been closed.
        case closed
        /// The file is damaged, or is not a database.
        case corrupt
        /// The disk or the database is full.
        case full
        /// The database cannot be opened or read: path, permission, hardware.
        case unavailable
        /// The connection was lost while a commit was under way: it may have happened.
        case unknownOutcome
        /// A column held another type than the code expects.
        case decoding(column: String)
        /// `one` found no row.
        case noRow
        /// The code's own mistake: bad SQL, missing parameter, several statements in one string.
        case misuse
        /// The schema and the code do not fit.
        case migration
        /// This build has no driver for the URL.
        case unsupported
        /// Any other answer of the engine, with the engine's code.
        case other(code: Int)
    }

    package enum Constraint: Sendable, Equatable {
        /// The columns as `table.column`.
        case unique([String])
        case primaryKey([String])
        case notNull(String)
        case check(String)
        case foreignKey
        case other
    }

    package var kind: Kind
    package var message: String
    /// Nothing of the work is in the database, nor will be: known of everything that fails without `.unknownOutcome` in
    /// PostgreSQL, and of what only reads. Of SQLite it is not said, where a commit that the disk refused may be found in the
    /// log after a crash.
    package var isUndone = false

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Whether two say the same; what is known of the work beside is not compared.
    package static func == (a: SQLError, b: SQLError) -> Bool { a.kind == b.kind && a.message == b.message }

    func undone() -> SQLError {
        var error = self
        error.isUndone = true
        return error
    }

    package var description: String { "database: \(message)" }

    /// The same call may succeed a little later.
    package var isTransient: Bool {
        switch kind {
        case .busy, .refused, .timeout: true
        default: false
        }
    }

    /// A unique or primary key constraint on this column (`table.column`) refused the change.
    package func isUnique(_ column: String) -> Bool {
        switch kind {
        case .constraint(.unique(let columns)), .constraint(.primaryKey(let columns)): columns.contains(column)
        default: false
        }
    }

    static func decoding(_ column: String, _ problem: String) -> SQLError {
        SQLError(.decoding(column: column), "column '\(column)': \(problem)")
    }

    static func misuse(_ message: String) -> SQLError { SQLError(.misuse, message) }

    static func unknownOutcome(_ cause: any Error) -> SQLError {
        SQLError(.unknownOutcome, "\((cause as? SQLError)?.message ?? "the connection is lost") (committing)")
    }

    static let closed = SQLError(.closed, "the database is closed")
    static let deadlinePassed = SQLError(.timeout, "the deadline passed while the work was waiting for the database")
}
