internal import CSQLite

extension SQLError {
    /// Reads the connection's last error. SQLite's texts name tables and columns, never bound values.
    static func last(on handle: OpaquePointer?, code: Int32, doing action: String) -> SQLError {
        let extended = handle.map(sqlite3_extended_errcode) ?? code
        let text = handle.flatMap(sqlite3_errmsg).map { String(cString: $0) } ?? String(cString: sqlite3_errstr(code))
        return SQLError(kind(extended, text), "\(text) (\(action))")
    }

    private static func kind(_ extended: Int32, _ text: String) -> Kind {
        switch extended & 0xff {
        case SQLITE_CONSTRAINT: .constraint(constraint(extended, text))
        case SQLITE_BUSY, SQLITE_LOCKED: .busy
        case SQLITE_INTERRUPT: .timeout
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
        case SQLITE_FULL: .full
        case SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH, SQLITE_NOMEM: .unavailable
        case SQLITE_ERROR, SQLITE_MISUSE, SQLITE_RANGE, SQLITE_MISMATCH, SQLITE_TOOBIG: .misuse
        default: .other(code: Int(extended))
        }
    }

    /// "UNIQUE constraint failed: users.email" names what refused.
    private static func constraint(_ extended: Int32, _ text: String) -> Constraint {
        let names = text.split(separator: ": ", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        let columns = names.split(separator: ",").map { String($0.drop { $0 == " " }) }
        // The extended codes are macros of the form (SQLITE_CONSTRAINT | n << 8), which Swift does not import.
        switch extended >> 8 {
        case 1: return .check(names)
        case 3: return .foreignKey
        case 5: return .notNull(names)
        case 6, 10: return .primaryKey(columns)
        case 8: return .unique(columns)
        default: return .other
        }
    }
}
