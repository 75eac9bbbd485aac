import FoundationEssentials

/// JSON as security needs it: UTF-8 only, an object at the top, and no member twice at any depth (RFC 8725 section 2.4,
/// RFC 7515 section 4). Foundation parses; a scanner over the parsed text finds the duplicates that it would drop.
enum StrictJSON {
    /// Decodes an object.
    ///
    /// - Throws: `JOSEError.malformed`, naming `what` and not its content.
    static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], what: String
    ) throws(JOSEError) -> Value {
        guard bytes.first == UInt8(ascii: "{"), !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil
        else { throw .malformed("the \(what) is not a JSON object in UTF-8") }
        let value: Value
        do {
            value = try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw .malformed("the \(what) lacks a member, has one of the wrong type, or is not JSON")
        }
        var scanner = DuplicateScanner(bytes)
        guard !scanner.findsDuplicate() else { throw .malformed("the \(what) has a member twice") }
        return value
    }

    /// The value with its members in order and slashes as they are, so that equal values have equal bytes.
    static func encode(_ value: some Encodable) throws(JOSEError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            throw .malformed("the value has no JSON form")
        }
    }
}

/// Walks JSON text that a parser already accepted, keeping the names of every open object.
private struct DuplicateScanner {
    private let bytes: [UInt8]
    private var index = 0
    /// One set per open object, nil for an open array.
    private var open: [Set<String>?] = []
    /// Whether the next string is a member's name.
    private var expectsName = false

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func findsDuplicate() -> Bool {
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "{"): enter([])
            case UInt8(ascii: "["): enter(nil)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): leave()
            case UInt8(ascii: ","): expectsName = open.last.flatMap(\.self) != nil
            case UInt8(ascii: "\""): if takeString() { return true }
            default: break
            }
        }
        return false
    }

    private mutating func enter(_ names: Set<String>?) {
        open.append(names)
        expectsName = names != nil
    }

    private mutating func leave() {
        _ = open.popLast()
        expectsName = false
    }

    /// Skips a string; when it is a name, records it and says whether it was there already.
    private mutating func takeString() -> Bool {
        let start = index - 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index = min(index + 1, bytes.count)
        guard expectsName, let last = open.indices.last else { return false }
        expectsName = false
        let name = name(Data(bytes[start..<index]))
        return open[last]?.insert(name).inserted == false
    }

    /// The name that the quoted text stands for: `"a"` and `"\u0061"` are one name.
    private func name(_ quoted: Data) -> String {
        let plain = quoted.dropFirst().dropLast()
        guard plain.contains(UInt8(ascii: "\\")), let name = try? JSONDecoder().decode(String.self, from: quoted)
        else { return String(decoding: plain, as: UTF8.self) }
        return name
    }
}
