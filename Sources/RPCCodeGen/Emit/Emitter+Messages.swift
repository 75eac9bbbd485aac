import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Emitter {
    /// A message's descriptor, checks and redacted form.
    func emitConformance(of message: MessageModel, to text: inout SwiftText) {
        text.line()
        text.block("extension \(swiftName(message)): ContractMessage {") { text in
            emitDescriptor(of: message, to: &text)
            text.line()
            emitViolations(of: message, to: &text)
            text.line()
            emitRedaction(of: message, to: &text)
            text.line()
            text.line("\(access) var debugDescription: String { redactedDescription }")
        }
    }

    private func emitDescriptor(of message: MessageModel, to text: inout SwiftText) {
        text.block("\(access) static let contractDescriptor: MessageDescriptor = .init(", closing: ")") { text in
            text.line("name: \(SwiftText.literal(message.fullName)),")
            guard !message.fields.isEmpty else { return text.line("fields: []") }
            text.block("fields: [", closing: "]") { text in
                text.lines(message.fields.map(descriptor))
            }
        }
    }

    private func descriptor(of field: FieldModel) -> String {
        var parts = ["name: \(SwiftText.literal(field.name))", "number: \(field.descriptor.number)"]
        parts.append("kind: \(kind(field))")
        if field.arity != .single { parts.append("arity: .\(field.arity.rawValue)") }
        if field.isHidden { parts.append("dataClass: \(dataClass(field))") }
        if field.rules.required { parts.append("isRequired: true") }
        if field.hasPresence, field.message == nil, !field.isTime { parts.append("hasPresence: true") }
        if field.rules.minLength > 0 { parts.append("minLength: \(field.rules.minLength)") }
        if field.rules.maxLength > 0 { parts.append("maxLength: \(field.rules.maxLength)") }
        if let format = format(field) { parts.append("format: \(format)") }
        if let cookie = field.cookie { parts.append("cookie: \(rule(cookie))") }
        return "FieldDescriptor(\(parts.joined(separator: ", "))),"
    }

    private func kind(_ field: FieldModel) -> String {
        switch field.kind {
        case .number(let name): ".\(name)"
        case .string: ".string"
        case .bytes: ".bytes"
        case .timestamp: ".timestamp"
        case .duration: ".duration"
        case .message(let type): ".message({ \(namer.fullName(message: type)).contractDescriptor })"
        case .enumeration(let type): ".enumeration(name: \(SwiftText.literal(type.fullName)), values: \(values(type)))"
        }
    }

    private func values(_ type: EnumDescriptor) -> String {
        SwiftText.list(type.values.sorted { $0.number < $1.number }.map(\.name))
    }

    private func rule(_ cookie: ContractHTTPCookie) -> String {
        let maxAge = cookie.maxAge.isEmpty ? "" : ", maxAgeField: \(SwiftText.literal(cookie.maxAge))"
        return "CookieRule(name: \(SwiftText.literal(cookie.name))\(maxAge))"
    }

    func dataClass(_ field: FieldModel) -> String {
        switch field.rules.class {
        case .secret: ".secret"
        case .pii: ".pii"
        case .phi: ".phi"
        case .open, .unspecified, .UNRECOGNIZED: ".open"
        }
    }

    func format(_ field: FieldModel) -> String? {
        switch field.rules.format {
        case .email: ".email"
        case .identifier: ".identifier"
        case .unspecified, .UNRECOGNIZED: nil
        }
    }

    /// The property, and whether it is set, as Swift expressions.
    func property(_ field: FieldModel) -> (value: String, isSet: String) {
        let names = namer.messagePropertyNames(
            field: field.descriptor, prefixed: "", includeHasAndClear: field.hasPresence)
        let value = Self.locals.contains(names.name) ? "self.\(names.name)" : names.name
        if field.hasPresence { return (value, names.has) }
        if field.arity != .single { return (value, "!\(value).isEmpty") }
        switch field.kind {
        case .string, .bytes, .message, .timestamp, .duration: return (value, "!\(value).isEmpty")
        case .number("bool"): return (value, value)
        case .number: return (value, "\(value) != 0")
        case .enumeration: return (value, "\(value).rawValue != 0")
        }
    }

    /// What generated functions call their own variables.
    private static let locals: Set = ["check", "text"]
}
