package import SwiftProtobuf

/// A message whose fields the contract gives rules. Generated for every message.
///
/// Printing one, in whatever way, gives its redacted form: `print`, interpolation, `String(describing:)`,
/// `String(reflecting:)` and `dump` alike. Only the encoders (`serializedBytes`, `jsonString`) see the values.
package protocol ContractMessage: Message, CustomStringConvertible, CustomReflectable {
    static var contractDescriptor: MessageDescriptor { get }
    /// The fields that break the contract's rules, in order; empty when the message is valid.
    func contractViolations() -> [FieldViolation]
    /// The message with every field that is not OPEN as a placeholder: the only form that logs may hold.
    var redactedDescription: String { get }
}

extension ContractMessage {
    package var description: String { redactedDescription }
    package var customMirror: Mirror { Mirror(self, children: ["redacted": redactedDescription]) }
}
