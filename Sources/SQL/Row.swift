/// One row of a result, copied out of the engine: it outlives the statement and may leave the body.
package struct Row: Sendable {
    /// Shared by all rows of a result.
    package let columns: [String]
    package let values: [Value]

    /// Reads a column by name.
    ///
    /// - Throws: `SQLError` of kind `.decoding(column:)` when there is no such column or it holds another type.
    package func get<T: SQLValue>(_ column: String, as type: T.Type = T.self) throws(SQLError) -> T {
        guard let index = columns.firstIndex(of: column) else {
            throw .decoding(column, "the result has no such column; it has \(columns.joined(separator: ", "))")
        }
        guard let value = T(sqlValue: values[index]) else {
            throw .decoding(column, "expected \(T.sqlTypeName), found \(values[index].kindName)")
        }
        return value
    }
}
