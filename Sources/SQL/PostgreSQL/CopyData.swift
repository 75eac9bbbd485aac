/// Rows in the binary format of COPY: a head, for each row the number of fields and for each field its length and bytes,
/// and an end (PostgreSQL manual, COPY, binary format).
enum CopyData {
    static func bytes(of rows: [[Value]]) -> [UInt8] {
        var bytes = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0] + [UInt8](repeating: 0, count: 8)
        bytes.reserveCapacity(rows.count * 256)
        for row in rows {
            append(Int16(row.count), to: &bytes)
            for value in row { append(value, to: &bytes) }
        }
        append(Int16(-1), to: &bytes)
        return bytes
    }

    private static func append(_ value: Value, to bytes: inout [UInt8]) {
        switch value {
        case .text(let text):
            append(Int32(text.utf8.count), to: &bytes)
            bytes += text.utf8
        case .bytes(let field):
            append(Int32(field.count), to: &bytes)
            bytes += field
        default:
            let field = value.postgresBytes
            append(Int32(field?.count ?? -1), to: &bytes)
            bytes += field ?? []
        }
    }

    private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
    }
}
