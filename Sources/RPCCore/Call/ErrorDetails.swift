package import SwiftProtobuf

/// The part of an error that is for programs, as it travels in the details of a status: `ErrorDetails` of
/// `lockstep/runtime/v1/runtime.proto`. Written by hand, since the call layer stands below all generated code; a test
/// holds the two together.
package struct ErrorDetails: Message, Sendable {
    package static let protoMessageName = "lockstep.runtime.v1.ErrorDetails"

    package var reason = ""
    package var violations: [Violation] = []
    package var unknownFields = UnknownStorage()

    package init() {}

    package mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
        while let number = try decoder.nextFieldNumber() {
            switch number {
            case 1: try decoder.decodeSingularStringField(value: &reason)
            case 2: try decoder.decodeRepeatedMessageField(value: &violations)
            default: break
            }
        }
    }

    package func traverse<V: Visitor>(visitor: inout V) throws {
        if !reason.isEmpty { try visitor.visitSingularStringField(value: reason, fieldNumber: 1) }
        if !violations.isEmpty { try visitor.visitRepeatedMessageField(value: violations, fieldNumber: 2) }
        try unknownFields.traverse(visitor: &visitor)
    }

    package func isEqualTo(message: any Message) -> Bool { self == message as? ErrorDetails }

    package struct Violation: Message, Sendable {
        package static let protoMessageName = "lockstep.runtime.v1.FieldViolation"

        package var field = ""
        package var message = ""
        package var unknownFields = UnknownStorage()

        package init() {}

        package mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
            while let number = try decoder.nextFieldNumber() {
                switch number {
                case 1: try decoder.decodeSingularStringField(value: &field)
                case 2: try decoder.decodeSingularStringField(value: &message)
                default: break
                }
            }
        }

        package func traverse<V: Visitor>(visitor: inout V) throws {
            if !field.isEmpty { try visitor.visitSingularStringField(value: field, fieldNumber: 1) }
            if !message.isEmpty { try visitor.visitSingularStringField(value: message, fieldNumber: 2) }
            try unknownFields.traverse(visitor: &visitor)
        }

        package func isEqualTo(message: any Message) -> Bool { self == message as? Violation }
    }
}

extension ErrorDetails: Equatable {}
extension ErrorDetails.Violation: Equatable {}

extension RPCError {
    /// `reason` and `violations` as bytes, none when both are empty. Violations that would go over `limit` bytes are
    /// left out, the last ones first.
    package func details(limit: Int) -> [UInt8] {
        guard !reason.isEmpty || !violations.isEmpty else { return [] }
        var details = ErrorDetails()
        details.reason = reason
        details.violations = violations.map { violation in
            var message = ErrorDetails.Violation()
            message.field = violation.field
            message.message = violation.message
            return message
        }
        return details.bytes(limit: limit)
    }

    /// Takes `reason` and `violations` from a status's details. Bytes of another kind are ignored.
    package mutating func apply(details bytes: [UInt8]) {
        guard !bytes.isEmpty, let details = try? ErrorDetails(serializedBytes: bytes) else { return }
        reason = details.reason
        violations = details.violations.map { FieldViolation(field: $0.field, message: $0.message) }
    }
}

extension ErrorDetails {
    fileprivate func bytes(limit: Int) -> [UInt8] {
        var details = self
        while true {
            let bytes: [UInt8] = (try? details.serializedBytes()) ?? []
            if bytes.count <= limit || details.violations.isEmpty { return bytes.count <= limit ? bytes : [] }
            details.violations.removeLast()
        }
    }
}
