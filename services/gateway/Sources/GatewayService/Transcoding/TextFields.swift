package import RPCCore

/// Fields that come as text, in the path or the query, as the JSON members that they stand for.
package enum TextFields {
    /// The members, or the fields that are wrong.
    ///
    /// Fields of the path are known by construction. In the query an unknown name is refused, as it is in a body,
    /// unless the contract says otherwise; a repeated one makes a list where the contract has a list.
    ///
    /// - Parameter ignoringUnknown: Names of the query that `message` does not have are passed over.
    package static func members(
        path: [String: String], query: [RequestTarget.Pair], of message: MessageDescriptor,
        ignoringUnknown: Bool = false
    ) -> Result<[JSONValue.Member], Violations> {
        var collector = Collector(message: message)
        for (name, value) in path.sorted(by: { $0.key < $1.key }) { collector.add(name, value) }
        for pair in query where !ignoringUnknown || message.field(named: pair.name) != nil {
            guard path[pair.name] == nil else {
                collector.report(pair.name, "This field comes from the path.")
                continue
            }
            collector.add(pair.name, pair.value)
        }
        return collector.result
    }

    package struct Violations: Error, Sendable {
        package let violations: [FieldViolation]
    }

    private struct Collector {
        let message: MessageDescriptor
        private var values: [(name: String, value: [JSONValue], isList: Bool)] = []
        private var violations: [FieldViolation] = []

        init(message: MessageDescriptor) { self.message = message }

        mutating func add(_ name: String, _ text: String) {
            guard let field = message.field(named: name), let value = field.kind.value(of: text) else {
                return report(name, "This parameter is not known.")
            }
            if let index = values.firstIndex(where: { $0.name == name }) {
                guard field.arity == .list else { return report(name, "This parameter is there twice.") }
                values[index].value.append(value)
            } else {
                values.append((name, [value], field.arity == .list))
            }
        }

        mutating func report(_ name: String, _ message: String) {
            guard violations.count < RequestShape.maximumViolations else { return }
            let shown = String(name.prefix(RequestShape.shownName))
            violations.append(FieldViolation(field: shown, message: message))
        }

        var result: Result<[JSONValue.Member], Violations> {
            guard violations.isEmpty else { return .failure(Violations(violations: violations)) }
            return .success(
                values.map { JSONValue.Member($0.name, $0.isList ? .array($0.value) : $0.value[0]) })
        }
    }
}

extension FieldDescriptor.Kind {
    /// The JSON value that `text` is written for; nil for kinds that text cannot hold. Whether it is a good value is
    /// for `RequestShape` to say.
    fileprivate func value(of text: String) -> JSONValue? {
        switch self {
        case .message: nil
        case .bool: text == "true" ? .bool(true) : text == "false" ? .bool(false) : .string(text)
        case .int32: Int32(text).map { .int(Int64($0)) } ?? .string(text)
        case .uint32: UInt32(text).map { .int(Int64($0)) } ?? .string(text)
        case .float, .double: Double(text).flatMap { $0.isFinite ? .number("\($0)") : nil } ?? .string(text)
        case .int64, .uint64, .string, .bytes, .enumeration, .timestamp, .duration: .string(text)
        }
    }
}
