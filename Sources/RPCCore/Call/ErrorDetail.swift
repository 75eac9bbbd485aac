package import SwiftProtobuf

/// A message that an error carries for programs. A process that does not know its type passes it on as it is.
package struct ErrorDetail: Sendable, Hashable {
    /// The message's full name, `lockstep.auth.v1.LockedOut`. Empty for details that came without one and that this
    /// build cannot read: they go out again byte for byte.
    package let type: String
    /// The encoded message.
    package let value: [UInt8]

    package init(type: String, value: [UInt8]) {
        self.type = type
        self.value = value
    }

    /// - Throws: When the message does not encode.
    package init<Value: Message>(_ message: Value) throws {
        self.init(type: Value.protoMessageName, value: try message.serializedBytes())
    }

    /// The message; nil when this is another one.
    package func message<Value: Message>(_ type: Value.Type = Value.self) -> Value? {
        self.type == Value.protoMessageName ? try? Value(serializedBytes: value) : nil
    }
}

extension RPCError {
    /// The first detail of that type.
    package func detail<Value: Message>(_ type: Value.Type = Value.self) -> Value? {
        details.lazy.compactMap { $0.message(Value.self) }.first
    }
}
