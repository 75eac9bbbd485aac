/// The types of PostgreSQL that both engines share, in its binary format.
enum PostgresType {
    static let boolean: UInt32 = 16
    static let bytea: UInt32 = 17
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
    static let numeric: UInt32 = 1700
    /// `name`, `bpchar`, `varchar`, `"char"`, `unknown`, `json`: the same bytes as text.
    static let likeText: Set<UInt32> = [text, 19, 1042, 1043, 18, 705, 114]
}

extension Value {
    /// Declared with the statement, so that PostgreSQL takes a parameter as what it is and not as what it might be; 0
    /// leaves it to PostgreSQL, as with NULL.
    var postgresType: UInt32 {
        switch self {
        case .null: 0
        case .boolean: PostgresType.boolean
        case .integer: PostgresType.int8
        case .real: PostgresType.float8
        case .text: PostgresType.text
        case .bytes: PostgresType.bytea
        }
    }

    /// Nil is NULL.
    var postgresBytes: [UInt8]? {
        switch self {
        case .null: nil
        case .boolean(let value): [value ? 1 : 0]
        case .integer(let value): bigEndian(UInt64(bitPattern: value))
        case .real(let value): bigEndian(value.bitPattern)
        case .text(let value): Array(value.utf8)
        case .bytes(let value): value
        }
    }

    /// - Returns: nil for a type that is not among those that both engines share.
    init?(postgres type: UInt32, _ bytes: UnsafeRawBufferPointer) {
        switch (type, bytes.count) {
        case (PostgresType.boolean, 1): self = .boolean(bytes[0] != 0)
        case (PostgresType.int2, 2): self = .integer(Int64(Int16(truncatingIfNeeded: number(bytes))))
        case (PostgresType.int4, 4): self = .integer(Int64(Int32(truncatingIfNeeded: number(bytes))))
        case (PostgresType.int8, 8): self = .integer(Int64(bitPattern: number(bytes)))
        case (PostgresType.float4, 4): self = .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: number(bytes)))))
        case (PostgresType.float8, 8): self = .real(Double(bitPattern: number(bytes)))
        case (PostgresType.bytea, _): self = .bytes(Array(bytes))
        case (PostgresType.numeric, 8...): self.init(numeric: bytes)
        case _ where PostgresType.likeText.contains(type): self = .text(String(decoding: bytes, as: UTF8.self))
        default: return nil
        }
    }

    /// What `sum` makes of integers: digits to the base of 10,000, the first with the weight 10,000^w.
    private init?(numeric bytes: UnsafeRawBufferPointer) {
        func field(_ index: Int) -> Int {
            Int(Int16(truncatingIfNeeded: number(UnsafeRawBufferPointer(rebasing: bytes[(2 * index)..<(2 * index + 2)]))))
        }
        let (count, weight, sign) = (field(0), field(1), field(2))
        guard bytes.count == 8 + 2 * count, sign == 0 || sign == 0x4000 else { return nil }
        var whole: Int64 = 0
        var real = 0.0
        var isWhole = weight >= count - 1
        for position in 0..<max(count, weight + 1) {
            let digit = position < count ? field(4 + position) : 0
            real = real * 10_000 + Double(digit)
            let (product, tooLarge) = whole.multipliedReportingOverflow(by: 10_000)
            let (sum, overflow) = product.addingReportingOverflow(Int64(digit))
            if tooLarge || overflow { isWhole = false }
            whole = sum
        }
        for _ in 0..<max(0, count - 1 - weight) { real /= 10_000 }
        self = isWhole ? .integer(sign == 0 ? whole : -whole) : .real(sign == 0 ? real : -real)
    }
}

private func number(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
}

private func bigEndian(_ value: UInt64) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}
