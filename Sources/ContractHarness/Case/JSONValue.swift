package import Foundation

/// JSON as a value: what cases are written in.
package enum JSONValue: Sendable, Hashable, Codable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// - Throws: `CaseError` with the place where it is no JSON.
    package init(json data: Data) throws(CaseError) {
        do {
            self = try JSONDecoder().decode(JSONValue.self, from: data)
        } catch DecodingError.dataCorrupted(let context) {
            throw CaseError("\(context.underlyingError.map { "\($0)" } ?? context.debugDescription)")
        } catch {
            throw CaseError("\(error)")
        }
    }

    /// As JSON, keys in order.
    package var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "?"
    }

    var int: Int? {
        switch self {
        case .int(let value): value
        case .string(let text): Int(text)
        default: nil
        }
    }

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    var object: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }

    /// With each string `$name` replaced by that variable's value, and `$(name)` within a string by its text.
    func substituting(_ variables: [String: JSONValue]) -> JSONValue {
        switch self {
        case .string(let text):
            if text.hasPrefix("$"), let value = variables[String(text.dropFirst())] { return value }
            guard text.contains("$(") else { return self }
            return .string(variables.reduce(text) { $0.replacingOccurrences(of: "$(\($1.key))", with: $1.value.plain) })
        case .array(let values): return .array(values.map { $0.substituting(variables) })
        case .object(let values): return .object(values.mapValues { $0.substituting(variables) })
        default: return self
        }
    }

    /// A string without its quotes, anything else as JSON.
    private var plain: String { string ?? text }
}

/// A case that cannot be understood; where and why, for whoever wrote it.
package struct CaseError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The members of a JSON object, each taken once: one that is left over is a mistake in the case.
struct JSONFields {
    private var members: [String: JSONValue]
    private let place: String

    init(_ value: JSONValue, in place: String) throws(CaseError) {
        guard let members = value.object else { throw CaseError("\(place): \(value.text) is no object") }
        self.members = members
        self.place = place
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    mutating func value(_ name: String) -> JSONValue? { members.removeValue(forKey: name) }

    mutating func int(_ name: String) throws(CaseError) -> Int? {
        guard let value = value(name) else { return nil }
        guard let int = value.int else { throw CaseError("\(place): \(name) is \(value.text), not a number") }
        return int
    }

    mutating func integer<Value: FixedWidthInteger>(_ name: String, as: Value.Type = Value.self) throws(CaseError)
        -> Value?
    {
        guard let value = value(name) else { return nil }
        let exact: Value? =
            switch value {
            case .int(let int): Value(exactly: int)
            case .string(let text):
                text.hasPrefix("0x") ? Value(text.dropFirst(2), radix: 16) : Value(text)
            default: nil
            }
        guard let exact else { throw CaseError("\(place): \(name) is \(value.text), not a number that fits") }
        return exact
    }

    mutating func string(_ name: String) throws(CaseError) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.string else { throw CaseError("\(place): \(name) is \(value.text), not a string") }
        return string
    }

    mutating func strings(_ name: String) throws(CaseError) -> [String] {
        guard let value = value(name) else { return [] }
        if let one = value.string { return [one] }
        guard let many = value.array?.map(\.string), !many.contains(nil) else {
            throw CaseError("\(place): \(name) is \(value.text), not a list of strings")
        }
        return many.compactMap { $0 }
    }

    mutating func bool(_ name: String) throws(CaseError) -> Bool {
        guard let value = value(name) else { return false }
        guard case .bool(let bool) = value else {
            throw CaseError("\(place): \(name) is \(value.text), not true or false")
        }
        return bool
    }

    mutating func list(_ name: String) throws(CaseError) -> [JSONValue] {
        guard let value = value(name) else { return [] }
        guard let list = value.array else { throw CaseError("\(place): \(name) is \(value.text), not a list") }
        return list
    }

    /// - Throws: `CaseError` when something has not been taken.
    func finish() throws(CaseError) {
        guard !members.isEmpty else { return }
        throw CaseError("\(place): \(members.keys.sorted().joined(separator: ", ")) means nothing here")
    }
}
