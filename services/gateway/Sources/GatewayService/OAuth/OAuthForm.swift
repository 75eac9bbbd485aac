import Foundation
package import RPCCore

/// What an OAuth client sends: a form (RFC 6749, appendix B), with its credentials in it or by HTTP Basic (section 2.3.1).
package enum OAuthForm {
    /// The members of the request that `body` and `authorization` stand for.
    ///
    /// Parameters without a value are taken as left out, unknown ones are passed over, and none may be there twice
    /// (section 3.2).
    ///
    /// - Parameter authorization: The values of all `Authorization` fields.
    /// - Throws: `Problem` 400 `invalid_request`, 401 `invalid_client`.
    package static func members(
        body: [UInt8], authorization: [String], of message: MessageDescriptor
    ) throws(Problem) -> [JSONValue.Member] {
        var values = try parameters(body)
        if let (id, secret) = try BasicCredentials.read(authorization) {
            // One way of showing them, not two (section 2.3).
            guard values["client_secret"] == nil, values["client_id"].map({ $0 == id }) ?? true else {
                throw .oauth("The client's credentials are there twice.")
            }
            (values["client_id"], values["client_secret"]) = (id, secret)
        }
        return message.fields.compactMap { field in
            values[field.name].map { JSONValue.Member(field.name, .string($0)) }
        }
    }

    private static func parameters(_ body: [UInt8]) throws(Problem) -> [String: String] {
        guard let text = String(validating: body, as: UTF8.self) else { throw .oauth("The form is not UTF-8.") }
        var values: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentCoding.decodeQuery(parts[0]),
                let value = parts.count == 2 ? PercentCoding.decodeQuery(parts[1]) : ""
            else { throw .oauth("The form is not well-formed.") }
            guard values.updateValue(value, forKey: name) == nil else { throw .oauth("A parameter is there twice.") }
        }
        return values.filter { !$0.value.isEmpty }
    }
}

/// A client's id and secret by HTTP Basic (RFC 7617), each encoded as in a form before (RFC 6749, section 2.3.1).
enum BasicCredentials {
    /// Bytes of the longest header that is looked at.
    private static let maximumLength = 1024

    /// - Returns: nil when there is no header.
    /// - Throws: `Problem` 401 for a header that holds no such credentials.
    static func read(_ headers: [String]) throws(Problem) -> (id: String, secret: String)? {
        guard let header = headers.first else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard headers.count == 1, header.utf8.count <= maximumLength, parts.count == 2, parts[0].lowercased() == "basic",
            let bytes = Data(base64Encoded: String(parts[1])), let text = String(validating: bytes, as: UTF8.self)
        else { throw .badClientCredentials }
        let pair = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2, let id = PercentCoding.decodeQuery(pair[0]),
            let secret = PercentCoding.decodeQuery(pair[1])
        else { throw .badClientCredentials }
        return (id, secret)
    }
}

extension Problem {
    fileprivate static func oauth(_ detail: String) -> Problem { Problem(400, "invalid_request", detail) }

    static let badClientCredentials = Problem(401, "invalid_client", "The Authorization header holds no client's credentials.")

    static let notAForm = Problem(
        400, "invalid_request", "Send the body as application/x-www-form-urlencoded, without content coding.")
}

extension RequestHeaders {
    /// Whether the body is a form as OAuth has it.
    package var announceForm: Bool {
        let encodings = contentEncoding.filter { $0.lowercased() != "identity" }
        guard contentType.count == 1, encodings.isEmpty else { return false }
        let type = contentType[0].lowercased().split(separator: ";").first?.filter { $0 != " " && $0 != "\t" }
        return type == "application/x-www-form-urlencoded"
    }
}
