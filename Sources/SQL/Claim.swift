/// The taking of rows from a queue: those that others are taking at the same moment are passed over and not waited for.
///
/// On PostgreSQL with `FOR UPDATE SKIP LOCKED`, to be run with `.readCommitted`, so that a row which another has just
/// taken is looked at again and not an error. On SQLite the writer is alone.
package struct Claim: Sendable {
    private let table: String
    private let key: String
    private let condition: String
    private let order: String
    private let change: String
    private let columns: String

    /// Pieces of SQL, with parameters by name.
    ///
    /// - Parameters:
    ///   - key: the table's primary key, one column.
    ///   - condition: which rows are due; nobody takes one that the change makes false.
    ///   - change: what marks a row as taken.
    ///   - columns: what is told of each.
    package init(
        from table: String, key: String, where condition: String, orderedBy order: String, set change: String,
        returning columns: String
    ) {
        self.table = table
        self.key = key
        self.condition = condition
        self.order = order
        self.change = change
        self.columns = columns
    }

    /// The rows are chosen once, before any of them is changed: hence the common table expression.
    func sql(_ locking: String) -> String {
        """
        WITH due AS MATERIALIZED (
            SELECT \(key) FROM \(table) WHERE \(condition) ORDER BY \(order) LIMIT :claim_limit \(locking))
        UPDATE \(table) SET \(change) WHERE \(key) IN (SELECT \(key) FROM due) RETURNING \(columns)
        """
    }
}

extension Transaction {
    package var dialect: Dialect { handle.session.dialect }

    /// Takes up to `limit` rows, in no particular order.
    package func take<T>(
        _ claim: Claim, limit: Int, _ parameters: Parameters, _ decode: (Row) throws -> T
    ) throws -> [T] {
        try query(
            claim.sql(handle.session.lockingRows), parameters.adding("claim_limit", limit), decode)
    }
}
