package import FoundationEssentials
package import SwiftProtobuf

/// The part of an error that is for programs, as it travels in the details of a status: `ErrorDetails` of
/// `lockstep/runtime/v1/runtime.proto`. Written by hand, since the call layer stands below all generated code; a test
/// holds the two together.
package struct ErrorDetails: Message, Sendable {
    package static let protoMessageName = "lockstep.runtime.v1.ErrorDetails"

    package var reason = ""
    package var violations: [Violation] = []
    package var typed: [Typed] = []
    package var unknownFields = UnknownStorage()

    package init() {}

    package mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
        while let number = try decoder.nextFieldNumber() {
            switch number {
            case 1: try decoder.decodeSingularStringField(value: &reason)
            case 2: try decoder.decodeRepeatedMessageField(value: &violations)
            case 3: try decoder.decodeRepeatedMessageField(value: &typed)
            default: break
            }
        }
    }

    package func traverse<V: Visitor>(visitor: inout V) throws {
        if !reason.isEmpty { try visitor.visitSingularStringField(value: reason, fieldNumber: 1) }
        if !violations.isEmpty { try visitor.visitRepeatedMessageField(value: violations, fieldNumber: 2) }
        if !typed.isEmpty { try visitor.visitRepeatedMessageField(value: typed, fieldNumber: 3) }
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

    package struct Typed: Message, Sendable {
        package static let protoMessageName = "lockstep.runtime.v1.TypedDetail"

        package var type = ""
        package var value = Data()
        package var unknownFields = UnknownStorage()

        package init() {}

        package mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
            while let number = try decoder.nextFieldNumber() {
                switch number {
                case 1: try decoder.decodeSingularStringField(value: &type)
                case 2: try decoder.decodeSingularBytesField(value: &value)
                default: break
                }
            }
        }

        package func traverse<V: Visitor>(visitor: inout V) throws {
            if !type.isEmpty { try visitor.visitSingularStringField(value: type, fieldNumber: 1) }
            if !value.isEmpty { try visitor.visitSingularBytesField(value: value, fieldNumber: 2) }
            try unknownFields.traverse(visitor: &visitor)
        }

        package func isEqualTo(message: any Message) -> Bool { self == message as? Typed }
    }
}

extension ErrorDetails: Equatable {}
extension ErrorDetails.Violation: Equatable {}
extension ErrorDetails.Typed: Equatable {}

extension RPCError {
    /// `reason`, `violations` and `details` as bytes, none when all are empty. What would go over `limit` bytes is left
    /// out: violations first, then details, the last ones of each first.
    package func details(limit: Int) -> [UInt8] {
        guard !reason.isEmpty || !violations.isEmpty || !self.details.isEmpty else { return [] }
        var details = ErrorDetails()
        details.reason = reason
        details.violations = violations.map { violation in
            var message = ErrorDetails.Violation()
            message.field = violation.field
            message.message = violation.message
            return message
        }
        details.typed = self.details.filter { !$0.type.isEmpty }.map { detail in
            var typed = ErrorDetails.Typed()
            typed.type = detail.type
            typed.value = Data(detail.value)
            return typed
        }
        let foreign = self.details.filter(\.type.isEmpty).flatMap(\.value)
        // Encoded messages may stand behind each other: whoever knows the fields finds them.
        guard foreign.count <= limit else { return details.bytes(limit: limit) }
        return details.bytes(limit: limit - foreign.count) + foreign
    }

    /// Takes `reason`, `violations` and `details` from a status's details. What this build cannot read is kept as it is.
    package mutating func apply(details bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        guard let details = try? ErrorDetails(serializedBytes: bytes) else {
            self.details = [ErrorDetail(type: "", value: bytes)]
            return
        }
        reason = details.reason
        violations = details.violations.map { FieldViolation(field: $0.field, message: $0.message) }
        self.details = details.typed.map { ErrorDetail(type: $0.type, value: [UInt8]($0.value)) }
        let unknown = details.unknownFields.data
        if !unknown.isEmpty { self.details.append(ErrorDetail(type: "", value: [UInt8](unknown))) }
    }
}

extension ErrorDetails {
    fileprivate func bytes(limit: Int) -> [UInt8] {
        var details = self
        while true {
            let bytes: [UInt8] = (try? details.serializedBytes()) ?? []
            if bytes.count <= limit { return bytes }
            if details.violations.popLast() == nil, details.typed.popLast() == nil { return [] }
        }
    }
}
