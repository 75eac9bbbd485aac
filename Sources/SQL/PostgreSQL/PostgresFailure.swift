/// What a server's error says, without the parts that can hold values: never its message of a data or constraint error,
/// never its detail.
struct PostgresFailure: Sendable, Equatable {
    /// Five characters; empty when the connection itself is lost.
    var state: String
    /// The server's sentence; used where it is about the statement and not about data.
    var message = ""
    var table = ""
    var column = ""
    var constraint = ""
    /// `Key (a, b)=(1, 2) already exists.`: only the names in front of `)=(` are ever used.
    var detail = ""

    /// The same work may go through when it is run again from its start.
    enum Retry: Equatable {
        case no
        /// Others came first.
        case conflict
        /// The server forgot or refuses a prepared statement.
        case statements
        /// Nothing of the transaction is there any more.
        case connection
    }

    var retry: Retry {
        switch state {
        case "40001", "40P01": .conflict
        case "26000", "0A000": .statements
        case "57P01", "57P02", "57P03", "25P03", "": .connection
        case _ where state.hasPrefix("08"): .connection
        default: .no
        }
    }

    func error(doing action: String) -> SQLError {
        SQLError(kind, "\(text) [SQLSTATE \(state)] (\(action))")
    }

    private var kind: SQLError.Kind {
        switch state {
        case "23505": constraint.hasSuffix("_pkey") ? .constraint(.primaryKey(columns)) : .constraint(.unique(columns))
        case "23502": .constraint(.notNull("\(table).\(column)"))
        case "23503": .constraint(.foreignKey)
        case "23514": .constraint(.check(constraint))
        case _ where state.hasPrefix("23"): .constraint(.other)
        case "40001", "40P01", "55P03", "55006": .busy
        case "57014", "25P03", "25P04": .timeout
        case "53100", "53200", "53400": .full
        case "XX001", "XX002": .corrupt
        // 25006: told to write where nothing can be written, such as a standby.
        case "53300", "25006", "28000", "28P01", "3D000": .unavailable
        case _ where state.hasPrefix("08") || state.hasPrefix("57P") || state.hasPrefix("58"): .unavailable
        case _ where state.hasPrefix("42") || state.hasPrefix("22"): .misuse
        case "26000", "0A000", "3F000", "25P02": .misuse
        default: .other(code: Int(state, radix: 36) ?? 0)
        }
    }

    private var text: String {
        switch state {
        case "23505": "unique constraint failed: \(columns.joined(separator: ", "))"
        case "23502": "not-null constraint failed: \(table).\(column)"
        case "23503": "foreign key constraint failed: \(constraint)"
        case "23514": "check constraint failed: \(constraint)"
        case "57014": "the statement took too long, or was cancelled"
        case _ where state.hasPrefix("22") || state.hasPrefix("23"): "a value was refused"
        default: message
        }
    }

    /// As `table.column`.
    private var columns: [String] {
        guard let start = detail.firstIndex(of: "("), let end = detail.firstRange(of: ")=("), start < end.lowerBound else {
            return ["\(table).\(constraint)"]
        }
        return detail[detail.index(after: start)..<end.lowerBound].split(separator: ",").map {
            "\(table).\($0.drop { $0 == " " })"
        }
    }
}
