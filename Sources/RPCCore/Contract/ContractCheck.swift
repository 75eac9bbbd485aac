/// Collects what breaks the contract's rules in one message. Generated `contractViolations()` are made of its calls.
///
/// Sentences name the rule and never repeat the value.
package struct ContractCheck {
    package private(set) var violations: [FieldViolation] = []

    package init() {}

    /// A string: lengths in UTF-8 bytes. An empty one is an absent one.
    package mutating func text(
        _ field: String, _ value: String, required: Bool = false, min: Int? = nil, max: Int? = nil,
        format: Format? = nil
    ) {
        length(field, value.utf8.count, unit: "byte", required: required, min: min, max: max)
        guard let format, !value.isEmpty, !format.accepts(value) else { return }
        report(field, format.advice)
    }

    package mutating func bytes(
        _ field: String, _ value: some Collection<UInt8>, required: Bool = false, min: Int? = nil, max: Int? = nil
    ) {
        length(field, value.count, unit: "byte", required: required, min: min, max: max)
    }

    /// The number of items of a list or map.
    package mutating func items(
        _ field: String, _ count: Int, required: Bool = false, min: Int? = nil, max: Int? = nil
    ) {
        length(field, count, unit: "item", required: required, min: min, max: max)
    }

    /// Every text of a list.
    package mutating func texts(_ field: String, _ values: [String], format: Format) {
        for (index, value) in values.enumerated() where !format.accepts(value) {
            report("\(field)[\(index)]", format.advice)
        }
    }

    /// A required number, enumeration or message.
    package mutating func present(_ field: String, _ isPresent: Bool) {
        if !isPresent { report(field, Self.missing) }
    }

    package mutating func message(_ field: String, _ value: some ContractMessage) {
        nest(field, value.contractViolations())
    }

    package mutating func messages(_ field: String, _ values: [some ContractMessage]) {
        for (index, value) in values.enumerated() {
            let inner = value.contractViolations()
            // A path for each of thousands of items would be most of what this costs.
            if !inner.isEmpty { nest("\(field)[\(index)]", inner) }
        }
    }

    /// The values of a map. Keys are what a person wrote, so the path shows a star for them.
    package mutating func messages<Key: Comparable>(_ field: String, _ values: [Key: some ContractMessage]) {
        for (_, value) in values.sorted(by: { $0.key < $1.key }) { nest("\(field)[*]", value.contractViolations()) }
    }

    private static let missing = "This field is required."

    private mutating func length(_ field: String, _ count: Int, unit: String, required: Bool, min: Int?, max: Int?) {
        if count == 0 {
            if required { report(field, Self.missing) }
        } else if let min, count < min {
            report(field, "At least \(min) \(unit)\(min == 1 ? "" : "s").")
        } else if let max, count > max {
            report(field, "At most \(max) \(unit)\(max == 1 ? "" : "s").")
        }
    }

    private mutating func nest(_ field: String, _ inner: [FieldViolation]) {
        for violation in inner { report("\(field).\(violation.field)", violation.message) }
    }

    private mutating func report(_ field: String, _ message: String) {
        violations.append(FieldViolation(field: field, message: message))
    }
}
