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
            throw RPCError(
                .invalidArgument, "The request of \(fullName) does not decode as \(Request.protoMessageName).",
                reason: "malformed_request")
        }
        let violations = request.contractViolations()
        guard violations.isEmpty else { throw RPCError.invalid(violations) }
        return request
    }

    /// The response's bytes, checked against the contract's limit.
    package func encode(response: some ContractMessage) throws -> [UInt8] {
        let bytes: [UInt8] = try response.serializedBytes()
        guard bytes.count <= responseLimit else {
            throw RPCError(
                .resourceExhausted,
                "The answer of \(fullName) has \(bytes.count) bytes; \(responseLimit) are allowed.",
                reason: "response_too_large")
        }
        return bytes
    }
}
