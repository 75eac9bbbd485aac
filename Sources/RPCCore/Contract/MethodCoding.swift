import SwiftProtobuf

/// One method between JSON and encoded messages, for callers that know no types: the gateway and the command line.
///
/// JSON is protobuf's own with proto field names: `access_token`, RFC 3339 timestamps, base64 bytes, enumerations by
/// name.
package struct MethodCoding: Sendable {
    package let descriptor: MethodDescriptor
    private let encodeRequest: @Sendable ([UInt8]) throws -> [UInt8]
    private let decodeResponse: @Sendable ([UInt8]) throws -> [UInt8]

    package init<Request: ContractMessage, Response: ContractMessage>(
        _ descriptor: MethodDescriptor, _ request: Request.Type, _ response: Response.Type
    ) {
        self.descriptor = descriptor
        self.encodeRequest = { try Request(contractJSON: $0).serializedBytes() }
        self.decodeResponse = { try Response(serializedBytes: $0).contractJSON() }
    }

    /// A method whose messages are coded elsewhere: for tools and tests that have no generated messages.
    package init(
        _ descriptor: MethodDescriptor, encode: @escaping @Sendable ([UInt8]) throws -> [UInt8],
        decode: @escaping @Sendable ([UInt8]) throws -> [UInt8]
    ) {
        self.descriptor = descriptor
        self.encodeRequest = encode
        self.decodeResponse = decode
    }

    /// The encoded request, checked against the contract's rules.
    ///
    /// - Parameter json: One JSON object in UTF-8. Nothing at all is an empty one.
    /// - Throws: `RPCError` INVALID_ARGUMENT that says what is wrong: not JSON, unknown field, wrong type, broken rule.
    package func requestBytes(fromJSON json: [UInt8]) throws(RPCError) -> [UInt8] {
        do {
            return try encodeRequest(json.isEmpty ? Array("{}".utf8) : json)
        } catch let error as RPCError {
            throw error
        } catch {
            throw .malformedJSON(error)
        }
    }

    /// The response as one JSON object. Every field is there but unset messages; an empty list is `[]`.
    ///
    /// - Throws: `RPCError` INTERNAL when the bytes are no such response.
    package func json(fromResponse bytes: [UInt8]) throws(RPCError) -> [UInt8] {
        do {
            return try decodeResponse(bytes)
        } catch {
            throw RPCError(
                .internal, "The answer of \(descriptor.fullName) does not decode.", reason: "malformed_response")
        }
    }
}

extension Sequence<MethodCoding> {
    /// The method of that name: `lockstep.auth.v1.AuthService/CreateSession`, or `AuthService/CreateSession` when only
    /// one is meant.
    package func named(_ name: String) -> MethodCoding? {
        if let exact = first(where: { $0.descriptor.fullName == name }) { return exact }
        let matches = filter { $0.descriptor.fullName.hasSuffix(".\(name)") }
        return matches.count == 1 ? matches.first : nil
    }
}

extension ContractMessage {
    fileprivate init(contractJSON json: [UInt8]) throws {
        try self.init(jsonUTF8Bytes: json)
        let violations = contractViolations()
        guard violations.isEmpty else { throw RPCError.invalid(violations) }
    }
}

extension RPCError {
    /// The error for JSON that is no such request, as far as the parser says what is wrong.
    fileprivate static func malformedJSON(_ error: any Error) -> RPCError {
        guard case JSONDecodingError.unknownField(let name)? = error as? JSONDecodingError else {
            return RPCError(
                .invalidArgument, "The request is not JSON of the expected shape: \(explanation(of: error)).",
                reason: "malformed_json")
        }
        let field = String(name.prefix(64))
        return RPCError(
            .invalidArgument, "The request has an unknown field: \(field).", reason: "unknown_field",
            violations: [FieldViolation(field: field, message: "This field is not known.")])
    }

    private static func explanation(of error: any Error) -> String {
        switch error as? JSONDecodingError {
        case .truncated: "it ends too early"
        case .trailingGarbage: "something follows its end"
        case .malformedNumber, .numberRange, .leadingZero: "a number is malformed or out of range"
        case .malformedString, .invalidUTF8: "a string is malformed or of the wrong type"
        case .malformedBool: "true or false was expected"
        case .malformedTimestamp: "a timestamp is not RFC 3339"
        case .malformedDuration: "a duration is malformed"
        case .unrecognizedEnumValue: "a name is none of the known values"
        case .illegalNull: "null is not allowed there"
        case .messageDepthLimit: "it is nested too deeply"
        default: "it does not parse"
        }
    }
}
