/// Compares what came with what a case expects: a member that is not named in the expectation does not matter.
///
/// An expected object may be a condition instead: `{"min": 1, "max": 5}`, `{"in": [...]}`, `{"contains": "text"}`,
/// `{"lacks": "text"}`, `{"count": 3}`. A member that is absent equals 0, "", false, [] and null, as in proto3.
enum JSONMatch {
    /// - Returns: What differs; nil when nothing does.
    static func mismatch(_ actual: JSONValue?, _ expected: JSONValue, at path: String = "") -> String? {
        if let members = expected.object {
            if let condition = condition(members) {
                return condition(actual) ? nil : difference(actual, expected, path)
            }
            return objects(actual, members, path)
        }
        if let items = expected.array { return arrays(actual, items, path) }
        return isEqual(actual, expected) ? nil : difference(actual, expected, path)
    }

    private static func objects(_ actual: JSONValue?, _ expected: [String: JSONValue], _ path: String) -> String? {
        guard actual == nil || actual?.object != nil else { return difference(actual, .object(expected), path) }
        for (name, value) in expected.sorted(by: { $0.key < $1.key }) {
            if let found = mismatch(actual?.object?[name], value, at: path.isEmpty ? name : "\(path).\(name)") {
                return found
            }
        }
        return nil
    }

    private static func arrays(_ actual: JSONValue?, _ expected: [JSONValue], _ path: String) -> String? {
        let items = actual?.array ?? []
        guard items.count == expected.count else { return difference(actual, .array(expected), path) }
        for (index, pair) in zip(items, expected).enumerated() {
            if let found = mismatch(pair.0, pair.1, at: "\(path)[\(index)]") { return found }
        }
        return nil
    }

    private static func isEqual(_ actual: JSONValue?, _ expected: JSONValue) -> Bool {
        guard let actual else { return [.null, .int(0), .string(""), .bool(false)].contains(expected) }
        if actual == expected { return true }
        guard let a = actual.int, let b = expected.int else { return false }
        return a == b
    }

    private static func condition(_ members: [String: JSONValue]) -> ((JSONValue?) -> Bool)? {
        guard !members.isEmpty, members.keys.allSatisfy(names.contains) else { return nil }
        return { actual in members.allSatisfy { holds($0.key, $0.value, actual) } }
    }

    private static let names: Set = ["min", "max", "in", "contains", "lacks", "count"]

    private static func holds(_ name: String, _ value: JSONValue, _ actual: JSONValue?) -> Bool {
        switch name {
        case "min": (actual?.int ?? 0) >= value.int ?? .max
        case "max": (actual?.int ?? 0) <= value.int ?? .min
        case "in": value.array?.contains { isEqual(actual, $0) } ?? false
        case "contains": (actual?.string ?? "").contains(value.string ?? "\u{0}")
        case "lacks": !(actual?.text ?? "").contains(value.string ?? "")
        case "count": (actual?.array?.count ?? 0) == value.int
        default: false
        }
    }

    private static func difference(_ actual: JSONValue?, _ expected: JSONValue, _ path: String) -> String {
        "\(path.isEmpty ? "it" : path) is \(short(actual?.text ?? "absent")), expected \(short(expected.text))"
    }

    private static func short(_ text: String) -> String { text.count > 300 ? "\(text.prefix(300)) ..." : text }
}
