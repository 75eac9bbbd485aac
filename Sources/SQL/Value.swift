/// One value as a database stores it: what both engines share. SQLite keeps a truth value as 0 or 1.
package enum Value: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes([UInt8])

    /// The storage class, for error texts; never the value itself.
    var kindName: String {
        switch self {
        case .null: "null"
        case .boolean: "boolean"
        case .integer: "integer"
        case .real: "real"
        case .text: "text"
        case .bytes: "bytes"
        }
    }
}

/// A Swift type that is bound to a parameter and read from a column.
///
/// An enum with raw values conforms by declaring it: `enum Kind: String, SQLValue`.
package protocol SQLValue: Sendable {
    /// What is bound to the parameter.
    var sqlValue: Value { get }

    /// Reads a column; nil when the stored value is not one of this type.
    init?(sqlValue: Value)

    /// The name used in a decoding error.
    static var sqlTypeName: String { get }
}

extension SQLValue {
    package static var sqlTypeName: String { "\(Self.self)" }
}

extension Int64: SQLValue {
    package var sqlValue: Value { .integer(self) }

    package init?(sqlValue: Value) {
        guard case .integer(let value) = sqlValue else { return nil }
        self = value
    }
}

extension Int: SQLValue {
    package var sqlValue: Value { .integer(Int64(self)) }

    package init?(sqlValue: Value) {
        guard case .integer(let value) = sqlValue else { return nil }
        self.init(exactly: value)
    }
}

extension Bool: SQLValue {
    package var sqlValue: Value { .boolean(self) }

    /// Only 0 and 1 are booleans: anything else is a decoding error, not "true".
    package init?(sqlValue: Value) {
        switch sqlValue {
        case .boolean(let value): self = value
        case .integer(0): self = false
        case .integer(1): self = true
        default: return nil
        }
    }
}

extension Double: SQLValue {
    package var sqlValue: Value { .real(self) }

    package init?(sqlValue: Value) {
        guard case .real(let value) = sqlValue else { return nil }
        self = value
    }
}

extension String: SQLValue {
    package var sqlValue: Value { .text(self) }

    package init?(sqlValue: Value) {
        guard case .text(let value) = sqlValue else { return nil }
        self = value
    }
}

extension [UInt8]: SQLValue {
    package var sqlValue: Value { .bytes(self) }
    package static var sqlTypeName: String { "Bytes" }

    package init?(sqlValue: Value) {
        guard case .bytes(let value) = sqlValue else { return nil }
        self = value
    }
}

extension Optional: SQLValue where Wrapped: SQLValue {
    package var sqlValue: Value { self?.sqlValue ?? .null }
    package static var sqlTypeName: String { "\(Wrapped.sqlTypeName) or null" }

    package init?(sqlValue: Value) {
        if case .null = sqlValue {
            self = Wrapped?.none
            return
        }
        guard let wrapped = Wrapped(sqlValue: sqlValue) else { return nil }
        self = wrapped
    }
}

extension SQLValue where Self: RawRepresentable, RawValue: SQLValue {
    package var sqlValue: Value { rawValue.sqlValue }

    package init?(sqlValue: Value) {
        guard let raw = RawValue(sqlValue: sqlValue) else { return nil }
        self.init(rawValue: raw)
    }
}
