package import SQL

/// Microseconds since 1970, as the database keeps them.
package struct Timestamp: Sendable, Hashable, Comparable, SQLValue {
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package var sqlValue: Value { .integer(microseconds) }

    package init?(sqlValue: Value) {
        guard let microseconds = Int64(sqlValue: sqlValue) else { return nil }
        self.microseconds = microseconds
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

    package static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds + duration.wholeMicroseconds)
    }

    package static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds - duration.wholeMicroseconds)
    }

    /// From this time to `other`.
    package func duration(to other: Timestamp) -> Duration {
        .microseconds(other.microseconds - microseconds)
    }
}

extension Duration {
    package var wholeMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
