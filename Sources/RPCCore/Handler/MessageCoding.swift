import SwiftProtobuf

extension MethodDescriptor {
    /// The request, decoded and checked against the contract's rules.
    ///
    /// - Throws: `RPCError` INVALID_ARGUMENT that names what is wrong.
    package func decode<Request: ContractMessage>(request bytes: [UInt8]) throws -> Request {
        try decode(request: bytes.span.bytes)
    }

    /// The same from wherever the bytes are: nothing of them is kept.
    package func decode<Request: ContractMessage>(request bytes: RawSpan) throws -> Request {
        let request: Request
        do {
            request = try Request(serializedBytes: bytes)
        } catch {
            throw malformedRequest(Request.self)
        }
        let violations = request.contractViolations()
        guard violations.isEmpty else { throw RPCError.invalid(violations) }
        return request
    }

    /// The error for bytes that are no such request.
    package func malformedRequest(_ type: (some ContractMessage).Type) -> RPCError {
        RPCError(
            .invalidArgument, "The request of \(fullName) does not decode as \(type.protoMessageName).", reason: "malformed_request")
    }

    /// The response's bytes, checked against the contract's limit.
    package func encode(response: some ContractMessage) throws -> [UInt8] {
        try checked(response: response.serializedBytes())
    }

    /// A response's bytes, unless they are more than the contract's limit.
    package func checked(response bytes: [UInt8]) throws -> [UInt8] {
        guard bytes.count <= responseLimit else {
            throw RPCError(
                .resourceExhausted,
                "The answer of \(fullName) has \(bytes.count) bytes; \(responseLimit) are allowed.",
                reason: "response_too_large")
        }
        return bytes
    }
}
