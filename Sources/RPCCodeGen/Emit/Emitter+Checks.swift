import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Emitter {
    /// `contractViolations()`: one line for each rule.
    func emitViolations(of message: MessageModel, to text: inout SwiftText) {
        let checks = message.fields.flatMap(checks)
        guard !checks.isEmpty else {
            return text.line("\(access) func contractViolations() -> [FieldViolation] { [] }")
        }
        text.block("\(access) func contractViolations() -> [FieldViolation] {") { text in
            text.line("var check = ContractCheck()")
            text.lines(checks)
            text.line("return check.violations")
        }
    }

    private func checks(of field: FieldModel) -> [String] {
        switch field.arity {
        case .single: singleChecks(of: field)
        case .list, .map: itemChecks(of: field)
        }
    }

    private func singleChecks(of field: FieldModel) -> [String] {
        let (value, isSet) = property(field)
        let name = SwiftText.literal(field.name)
        if field.isText || field.isBytes {
            let rules = rules(field, withFormat: field.isText)
            return rules.isEmpty ? [] : ["check.\(field.isText ? "text" : "bytes")(\(name), \(value)\(rules))"]
        }
        var checks: [String] = []
        if field.rules.required { checks.append("check.present(\(name), \(isSet))") }
        if let message = field.message, message.hasRules { checks.append("if \(isSet) { check.message(\(name), \(value)) }") }
        return checks
    }

    private func itemChecks(of field: FieldModel) -> [String] {
        let (value, _) = property(field)
        let name = SwiftText.literal(field.name)
        let rules = rules(field, withFormat: false)
        var checks = rules.isEmpty ? [] : ["check.items(\(name), \(value).count\(rules))"]
        if let message = field.message, message.hasRules { checks.append("check.messages(\(name), \(value))") }
        if field.isText, field.arity == .list, let format = format(field) {
            checks.append("check.texts(\(name), \(value), format: \(format))")
        }
        return checks
    }

    private func rules(_ field: FieldModel, withFormat: Bool) -> String {
        var rules = ""
        if field.rules.required { rules += ", required: true" }
        if field.rules.minLength > 0 { rules += ", min: \(field.rules.minLength)" }
        if field.rules.maxLength > 0 { rules += ", max: \(field.rules.maxLength)" }
        if withFormat, let format = format(field) { rules += ", format: \(format)" }
        return rules
    }

    /// `redactedDescription`: one line for each field.
    func emitRedaction(of message: MessageModel, to text: inout SwiftText) {
        let name = SwiftText.literal(message.descriptor.name)
        guard !message.fields.isEmpty else {
            return text.line("\(access) var redactedDescription: String { RedactedText(\(name)).description }")
        }
        text.block("\(access) var redactedDescription: String {") { text in
            text.line("var text = RedactedText(\(name))")
            text.lines(message.fields.map(redaction))
            text.line("return text.description")
        }
    }

    private func redaction(of field: FieldModel) -> String {
        let (value, isSet) = property(field)
        let name = SwiftText.literal(field.name)
        if field.isHidden { return "text.hidden(\(name), \(dataClass(field)), if: \(isSet))" }
        switch (field.arity, field.kind) {
        case (.map, _), (.list, .bytes): return "text.count(\(name), \(value).count)"
        case (.list, .string): return "text.texts(\(name), \(value))"
        case (.list, .message): return "text.messages(\(name), \(value))"
        case (.list, .timestamp), (.list, .duration): return "text.times(\(name), \(value))"
        case (.list, _): return "text.values(\(name), \(value))"
        case (.single, .string): return "text.text(\(name), \(value))"
        case (.single, .bytes): return "text.bytes(\(name), \(value))"
        case (.single, .message): return "text.message(\(name), \(value), if: \(isSet))"
        case (.single, .timestamp), (.single, .duration): return "text.time(\(name), \(value), if: \(isSet))"
        case (.single, _): return "text.value(\(name), \(value), if: \(isSet))"
        }
    }
}
