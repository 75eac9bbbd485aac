/// The part of CBOR (RFC 8949) that authenticators write: CTAP2's canonical form without floating point and tags.
///
/// Strict: definite lengths, shortest forms, keys of maps that are text or numbers, each once; and bounded in depth and
/// length, so that nothing a client sends makes it work or grow.
indirect enum CBOR: Sendable, Hashable {
    case int(Int64)
    case bytes([UInt8])
    case text(String)
    case array([CBOR])
    case map([CBOR: CBOR])
    case bool(Bool)
    case null

    enum Failure: Error, Hashable {
        case truncated
        case trailing
        case notShortest
        case unsupported
        case tooDeep
        case tooLarge
        case notUTF8
        case badKey
    }

    /// Bytes of the longest input.
    static let longest = 16_384
    private static let deepest = 4

    /// One item that fills `bytes`.
    static func decode(_ bytes: [UInt8]) throws(Failure) -> CBOR {
        let (item, rest) = try decodePrefix(bytes[...])
        guard rest.isEmpty else { throw .trailing }
        return item
    }

    /// The first item, and what follows it.
    static func decodePrefix(_ bytes: ArraySlice<UInt8>) throws(Failure) -> (CBOR, ArraySlice<UInt8>) {
        guard bytes.count <= longest else { throw .tooLarge }
        var reader = Reader(rest: bytes)
        let item = try reader.item(depth: 0)
        return (item, reader.rest)
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func item(depth: Int) throws(Failure) -> CBOR {
            guard depth <= CBOR.deepest else { throw .tooDeep }
            guard let first = rest.popFirst() else { throw .truncated }
            if first >> 5 == 7 { return try simple(first & 31) }
            let number = try argument(first & 31)
            switch first >> 5 {
            case 0:
                guard let value = Int64(exactly: number) else { throw .unsupported }
                return .int(value)
            case 1:
                guard let value = Int64(exactly: number) else { throw .unsupported }
                return .int(-1 - value)
            case 2: return .bytes(try take(number))
            case 3:
                guard let text = String(validating: try take(number), as: UTF8.self) else { throw .notUTF8 }
                return .text(text)
            case 4: return try array(number, depth)
            case 5: return try map(number, depth)
            default: throw .unsupported
            }
        }

        private func simple(_ value: UInt8) throws(Failure) -> CBOR {
            switch value {
            case 20: return .bool(false)
            case 21: return .bool(true)
            case 22: return .null
            default: throw .unsupported
            }
        }

        private mutating func array(_ count: UInt64, _ depth: Int) throws(Failure) -> CBOR {
            // Each item has a byte at least.
            guard count <= rest.count else { throw .truncated }
            var items: [CBOR] = []
            for _ in 0..<count { items.append(try item(depth: depth + 1)) }
            return .array(items)
        }

        private mutating func map(_ count: UInt64, _ depth: Int) throws(Failure) -> CBOR {
            guard count <= rest.count / 2 else { throw .truncated }
            var members: [CBOR: CBOR] = [:]
            for _ in 0..<count {
                let key = try item(depth: depth + 1)
                switch key {
                case .int, .text: break
                default: throw .badKey
                }
                guard members.updateValue(try item(depth: depth + 1), forKey: key) == nil else { throw .badKey }
            }
            return .map(members)
        }

        private mutating func argument(_ short: UInt8) throws(Failure) -> UInt64 {
            guard short >= 24 else { return UInt64(short) }
            guard short <= 27 else { throw .unsupported }
            let width = 1 << Int(short - 24)
            let value = try take(UInt64(width)).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let least: UInt64 = width == 1 ? 24 : 1 << UInt64(4 * width)
            guard value >= least else { throw .notShortest }
            return value
        }

        private mutating func take(_ count: UInt64) throws(Failure) -> [UInt8] {
            guard count <= rest.count else { throw .truncated }
            defer { rest = rest.dropFirst(Int(count)) }
            return Array(rest.prefix(Int(count)))
        }
    }

    subscript(key: Int64) -> CBOR? {
        guard case .map(let members) = self else { return nil }
        return members[.int(key)]
    }

    subscript(key: String) -> CBOR? {
        guard case .map(let members) = self else { return nil }
        return members[.text(key)]
    }

    var asBytes: [UInt8]? {
        guard case .bytes(let bytes) = self else { return nil }
        return bytes
    }
}
