package import SwiftProtobuf

/// A message whose fields the contract gives rules. Generated for every message.
package protocol ContractMessage: Message {
    /// The fields that break the contract's rules, in order; empty when the message is valid.
    func contractViolations() -> [FieldViolation]
    /// The message with every field that is not OPEN as a placeholder: the only form that logs may hold.
    var redactedDescription: String { get }
}
