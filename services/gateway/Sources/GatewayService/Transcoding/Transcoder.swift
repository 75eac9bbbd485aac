import RPCCore

/// From what HTTP brings to the encoded request of a method, and from its encoded response to JSON.
package enum Transcoder {
    /// The encoded request.
    ///
    /// - Parameters:
    ///   - path: The values of the template's fields.
    ///   - body: The JSON body; nil where the route takes none or none came.
    /// - Throws: `Problem` 400 that names what is wrong: not JSON, unknown field, wrong type, broken rule.
    package static func request(
        of route: Route, path: [String: String], query: [RequestTarget.Pair], body: [UInt8]?
    ) throws(Problem) -> [UInt8] {
        var members = try textMembers(of: route, path: path, query: query)
        if route.http.hasBody {
            members += try bodyMembers(of: route, body ?? [], path: path)
        }
        let value = JSONValue.object(members)
        let violations = RequestShape.violations(of: value, against: route.method.request)
        guard violations.isEmpty else { throw .invalid(violations) }
        return try encode(value, with: route.coding)
    }

    /// The response as JSON.
    ///
    /// - Throws: `Problem` 500 when the bytes are no such response.
    package static func response(_ bytes: [UInt8], of route: Route) throws(Problem) -> [UInt8] {
        do {
            return try route.coding.json(fromResponse: bytes)
        } catch {
            throw .internal
        }
    }

    private static func textMembers(
        of route: Route, path: [String: String], query: [RequestTarget.Pair]
    ) throws(Problem) -> [JSONValue.Member] {
        if route.http.hasBody, let pair = query.first {
            let name = String(pair.name.prefix(RequestShape.shownName))
            throw .invalid([FieldViolation(field: name, message: "Fields of this route belong in the body.")])
        }
        do {
            return try TextFields.members(
                path: path, query: query, of: route.method.request, ignoringUnknown: route.http.ignoresUnknownQuery
            ).get()
        } catch {
            throw .invalid(error.violations)
        }
    }

    private static func bodyMembers(
        of route: Route, _ body: [UInt8], path: [String: String]
    ) throws(Problem) -> [JSONValue.Member] {
        let value: JSONValue
        do {
            value = try JSONReader.read(body)
        } catch {
            throw .malformedJSON(error)
        }
        guard case .object(let members) = value else {
            throw .invalid([FieldViolation(field: "body", message: "Must be an object.")])
        }
        if let taken = members.first(where: { path[$0.name] != nil }) {
            throw .invalid([FieldViolation(field: taken.name, message: "This field comes from the path.")])
        }
        return members
    }

    private static func encode(_ value: JSONValue, with coding: MethodCoding) throws(Problem) -> [UInt8] {
        do {
            return try coding.requestBytes(fromJSON: value.utf8)
        } catch {
            throw StatusTable.problem(of: error, calling: coding.descriptor)
        }
    }
}
