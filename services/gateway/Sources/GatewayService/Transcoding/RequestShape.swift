package import RPCCore

/// Checks JSON against the shape that the contract gives a message: known fields, each once, none null, each of its
/// type. Rules for values (required, lengths, formats) are the contract's own checks, run on the decoded message.
package enum RequestShape {
    /// Violations named before the rest is left untold.
    package static let maximumViolations = 32
    /// Bytes of a foreign field name that an answer repeats.
    package static let shownName = 64

    /// The fields that break the shape, in the order in which they stand.
    package static func violations(of value: JSONValue, against message: MessageDescriptor) -> [FieldViolation] {
        var check = ShapeCheck()
        check.message(value, message, path: "")
        return check.violations
    }
}

private struct ShapeCheck {
    private(set) var violations: [FieldViolation] = []

    mutating func message(_ value: JSONValue, _ message: MessageDescriptor, path: String) {
        guard case .object(let members) = value else {
            return report(path.isEmpty ? "body" : path, "Must be an object.")
        }
        var seen: Set<String> = []
        for member in members {
            let name = String(member.name.prefix(RequestShape.shownName))
            let path = path.isEmpty ? name : "\(path).\(name)"
            guard let field = message.field(named: member.name) else {
                report(path, "This field is not known.")
                continue
            }
            guard seen.insert(member.name).inserted else {
                report(path, "This field is there twice.")
                continue
            }
            self.field(member.value, field, path: path)
        }
    }

    private mutating func field(_ value: JSONValue, _ field: FieldDescriptor, path: String) {
        switch (field.arity, value) {
        case (_, .null): report(path, "Must not be null; leave the field out instead.")
        case (.single, _): single(value, field, path: path)
        case (.list, .array(let items)):
            for (index, item) in items.enumerated() { single(item, field, path: "\(path)[\(index)]") }
        case (.list, _): report(path, "Must be a list.")
        case (.map, .object(let members)):
            for member in members { single(member.value, field, path: "\(path)[*]") }
        case (.map, _): report(path, "Must be an object.")
        }
    }

    private mutating func single(_ value: JSONValue, _ field: FieldDescriptor, path: String) {
        if case .message(let descriptor) = field.kind {
            message(value, descriptor(), path: path)
        } else if !field.kind.takes(value) {
            report(path, field.kind.expectation)
        }
    }

    private mutating func report(_ field: String, _ message: String) {
        guard violations.count < RequestShape.maximumViolations else { return }
        violations.append(FieldViolation(field: field, message: message))
    }
}

extension FieldDescriptor.Kind {
    /// Whether JSON of this kind looks like `value`.
    fileprivate func takes(_ value: JSONValue) -> Bool {
        switch (self, value) {
        case (.bool, .bool), (.message, .object): true
        case (.string, .string), (.bytes, .string), (.timestamp, .string), (.duration, .string): true
        case (.int32, .number(let digits)): Int32(digits) != nil
        case (.uint32, .number(let digits)): UInt32(digits) != nil
        case (.int64, .number(let digits)), (.int64, .string(let digits)): Int64(digits) != nil
        case (.uint64, .number(let digits)), (.uint64, .string(let digits)): UInt64(digits) != nil
        case (.float, .number), (.double, .number): true
        case (.enumeration(_, let names), .string(let name)): names.contains(name)
        default: false
        }
    }

    /// What was expected, as a sentence.
    fileprivate var expectation: String {
        switch self {
        case .bool: "Must be true or false."
        case .int32, .uint32, .int64, .uint64: "Must be a whole number in range."
        case .float, .double: "Must be a number."
        case .string: "Must be a string."
        case .bytes: "Must be a string in base64."
        case .enumeration(_, let names): "Must be one of \(names.dropFirst().joined(separator: ", "))."
        case .message: "Must be an object."
        case .timestamp: "Must be a time such as 2026-01-31T12:00:00Z."
        case .duration: "Must be a duration such as 1.5s."
        }
    }
}
