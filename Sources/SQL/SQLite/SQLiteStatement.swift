internal import CSQLite

/// A compiled statement; finalized with its last reference. Belongs to one connection and its thread.
final class SQLiteStatement {
    private let statement: OpaquePointer
    private let database: OpaquePointer
    private let sql: String
    private let parameterNames: [String]
    private let columns: [String]
    /// When it was last used, in statements of the connection: the cache drops the oldest.
    var lastUse = 0

    /// Compiles exactly one statement.
    init(_ sql: String, on database: OpaquePointer) throws {
        var compiled: OpaquePointer?
        var rest = ""
        let code = sql.withCString { text in
            var tail: UnsafePointer<CChar>?
            let code = sqlite3_prepare_v3(database, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, &tail)
            rest = tail.map { String(cString: $0) } ?? ""
            return code
        }
        guard code == SQLITE_OK else { throw SQLError.last(on: database, code: code, doing: "preparing: \(sql)") }
        guard let compiled else { throw SQLError.misuse("empty statement") }
        guard rest.allSatisfy(\.isWhitespace) else {
            sqlite3_finalize(compiled)
            throw SQLError.misuse("more than one statement in: \(sql)")
        }
        self.statement = compiled
        self.database = database
        self.sql = sql
        self.parameterNames = (1..<1 + sqlite3_bind_parameter_count(compiled)).map { index in
            sqlite3_bind_parameter_name(compiled, index).map { String(String(cString: $0).dropFirst()) } ?? ""
        }
        self.columns = (0..<sqlite3_column_count(compiled)).map { index in
            sqlite3_column_name(compiled, index).map { String(cString: $0) } ?? ""
        }
    }

    deinit {
        sqlite3_finalize(statement)
    }

    /// Runs the statement to its end and returns its rows.
    func rows(_ parameters: Parameters, limit: Int) throws -> [Row] {
        try bind(parameters)
        defer { reset() }
        var rows: [Row] = []
        while try step() {
            guard rows.count < limit else { throw SQLError.misuse("more than \(limit) rows from: \(sql)") }
            rows.append(currentRow())
        }
        return rows
    }

    /// Runs the statement to its end, dropping rows.
    func run(_ parameters: Parameters) throws {
        try bind(parameters)
        defer { reset() }
        while try step() {}
    }

    private func step() throws -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw SQLError.last(on: database, code: code, doing: "running: \(sql)")
        }
    }

    /// Bound values are cleared too: they may be secrets, and the statement stays in the cache.
    private func reset() {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
    }

    private func bind(_ parameters: Parameters) throws {
        for (offset, name) in parameterNames.enumerated() {
            guard let value = parameters[name] else {
                throw SQLError.misuse("parameter ':\(name)' has no value in: \(sql)")
            }
            let code = bind(value, at: Int32(offset + 1))
            guard code == SQLITE_OK else {
                throw SQLError.last(on: database, code: code, doing: "binding ':\(name)' of: \(sql)")
            }
        }
        if parameters.count != parameterNames.count, let name = parameters.firstName(notIn: parameterNames) {
            throw SQLError.misuse("value '\(name)' has no parameter in: \(sql)")
        }
    }

    private func bind(_ value: Value, at index: Int32) -> Int32 {
        switch value {
        case .null:
            return sqlite3_bind_null(statement, index)
        case .boolean(let flag):
            return sqlite3_bind_int64(statement, index, flag ? 1 : 0)
        case .integer(let integer):
            return sqlite3_bind_int64(statement, index, integer)
        case .real(let real):
            return sqlite3_bind_double(statement, index, real)
        case .text(let text):
            var text = text
            return text.withUTF8 { buffer in
                buffer.withMemoryRebound(to: CChar.self) {
                    sqlite3_bind_text64(
                        statement, index, $0.baseAddress ?? Self.empty, UInt64($0.count), Self.transient,
                        UInt8(SQLITE_UTF8))
                }
            }
        case .bytes(let bytes):
            return bytes.isEmpty
                ? sqlite3_bind_zeroblob(statement, index, 0)
                : bytes.withUnsafeBytes {
                    sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), Self.transient)
                }
        }
    }

    private func currentRow() -> Row {
        Row(columns: columns, values: (0..<Int32(columns.count)).map(value))
    }

    private func value(at index: Int32) -> Value {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, index))
        case SQLITE_TEXT:
            let text = sqlite3_column_text(statement, index)
            let count = Int(sqlite3_column_bytes(statement, index))
            return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
        case SQLITE_BLOB:
            let bytes = sqlite3_column_blob(statement, index)
            let count = Int(sqlite3_column_bytes(statement, index))
            return .bytes(Array(UnsafeRawBufferPointer(start: bytes, count: count)))
        default: return .null
        }
    }

    /// SQLITE_TRANSIENT, a macro that Swift does not import: SQLite copies the bytes before the call returns.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    /// A non-null address for the empty text, which a null pointer would turn into NULL.
    // Unsafe: one byte, written once, read only.
    nonisolated(unsafe) private static let empty: UnsafePointer<CChar> = {
        let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        byte.initialize(to: 0)
        return UnsafePointer(byte)
    }()
}
