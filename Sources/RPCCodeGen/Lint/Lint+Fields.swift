import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Lint {
    mutating func check(_ field: FieldModel) {
        checkClass(of: field)
        checkType(of: field)
        checkRules(of: field)
    }

    private mutating func checkClass(of field: FieldModel) {
        guard field.isText || field.isBytes, field.rules.class == .unspecified else { return }
        guard let word = SecretNames.word(in: field.name) else { return }
        report(
            field.descriptor.position(),
            "\(field.name) is named like a secret (\"\(word)\") and does not say what it is.",
            "Write `[(lockstep.contract.v1.field) = {class: SECRET}]`, or `class: OPEN` if everybody may see it.")
    }

    private mutating func checkType(of field: FieldModel) {
        let position = field.descriptor.position()
        if field.descriptor.isMap, field.descriptor.messageType.mapKeyAndValue?.key.type != .string {
            report(position, "\(field.name) is a map whose keys are not text.", "Write `map<string, …>`.")
        }
        guard let message = field.message, message.descriptor.file.package.hasPrefix("google.protobuf") else { return }
        report(
            position, "\(field.name) is a \(message.fullName), which the generator does not know.",
            "Write a message of the contract, or Timestamp or Duration.")
    }

    private mutating func checkRules(of field: FieldModel) {
        let position = field.descriptor.position(ofOption: .field)
        let hasLength = field.isText || field.isBytes || field.arity != .single
        if !hasLength, field.rules.minLength > 0 || field.rules.maxLength > 0 {
            report(
                position, "\(field.name) has a length rule, but no length.",
                "Leave `min_length` and `max_length` out; they are for strings, bytes, lists and maps.")
        }
        if field.rules.maxLength > 0, field.rules.minLength > field.rules.maxLength {
            report(
                position, "\(field.name)'s `min_length` is beyond its `max_length`.",
                "Write a `min_length` of at most \(field.rules.maxLength).")
        }
        if field.rules.format != .unspecified, !field.isText || field.arity == .map {
            report(position, "\(field.name) has a `format`, but is no string.", "Leave `format` out.")
        }
        if case .number("bool") = field.kind, field.arity == .single, !field.hasPresence, field.rules.required {
            report(
                position, "\(field.name) is a required bool, which could only be true.",
                "Leave `required` out, or write `optional bool`.")
        }
    }

    mutating func checkOneofs(of message: MessageModel) {
        for oneof in message.descriptor.realOneofs {
            report(
                oneof.position(), "\(oneof.name) is a oneof, and these are not generated yet.",
                "Write separate fields, of which the handler takes one.")
        }
    }
}

/// Words that secrets are called by.
enum SecretNames {
    /// Found anywhere in a name.
    private static let stems = [
        "password", "passwd", "passphrase", "passcode", "secret", "token", "credential", "apikey", "private",
    ]
    /// Found as a whole word of a name.
    private static let words: Set = ["key", "keys", "pin", "otp", "cookie", "cookies", "bearer"]

    /// The word that makes `name` sound like a secret's.
    static func word(in name: String) -> String? {
        let name = name.lowercased()
        return stems.first(where: name.contains)
            ?? name.split(separator: "_").map(String.init).first(where: words.contains)
    }
}
