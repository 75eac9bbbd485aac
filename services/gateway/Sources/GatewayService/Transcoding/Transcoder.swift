import RPCCore

/// From what HTTP brings to the encoded request of a method, and from its encoded response to JSON.
package enum Transcoder {
    /// The encoded request.
    ///
    /// - Parameters:
    ///   - path: The values of the template's fields.
    ///   - body: The JSON body; nil where the route takes none or none came.
    ///   - cookies: Where the contract's fields in cookies come from, and from nowhere else.
    ///   - authorization: Where OAuth clients may have their credentials.
    /// - Throws: `Problem` 400 that names what is wrong: not JSON, unknown field, wrong type, broken rule.
    package static func request(
        of route: Route, path: [String: String], query: [RequestTarget.Pair], body: [UInt8]?,
        cookies: RequestCookies = RequestCookies(), authorization: [String] = []
    ) throws(Problem) -> [UInt8] {
        var members = try textMembers(of: route, path: path, query: query)
        if route.http.isOAuth {
            members += try OAuthForm.members(body: body ?? [], authorization: authorization, of: route.request)
        } else if route.http.hasBody {
            members += try bodyMembers(of: route, body ?? [], path: path)
        }
        let violations = RequestShape.violations(of: .object(members), against: route.request)
        guard violations.isEmpty else { throw .invalid(violations) }
        members += route.requestCookies.compactMap { field in
            cookies.value(for: field).map { JSONValue.Member(field.name, .string($0)) }
        }
        return try encode(.object(members), with: route.coding)
    }

    /// A response as a browser gets it.
    package struct Answer: Sendable {
        package let json: [UInt8]
        /// `Set-Cookie`, for each field that the contract has in a cookie.
        package let cookies: [HTTPHeader]
    }

    /// The response as JSON and cookies; no field is in both.
    ///
    /// - Throws: `Problem` 500 when the bytes are no such response, or hold what no cookie can.
    package static func answer(_ bytes: [UInt8], of route: Route) throws(Problem) -> Answer {
        let json = try response(bytes, of: route)
        guard !route.responseCookies.isEmpty else { return Answer(json: json, cookies: []) }
        guard let value = try? JSONReader.read(json), case .object(let members) = value else { throw .internal }
        var cookies: [HTTPHeader] = []
        for field in route.responseCookies {
            if let cookie = try cookie(field, in: value) { cookies.append(cookie) }
        }
        let rest = members.filter { member in !route.responseCookies.contains { $0.name == member.name } }
        return Answer(json: JSONValue.object(rest).utf8, cookies: cookies)
    }

    private static func cookie(_ field: FieldDescriptor, in value: JSONValue) throws(Problem) -> HTTPHeader? {
        guard let rule = field.cookie, case .string(let text)? = value[field.name], !text.isEmpty else { return nil }
        guard field.allows(text) else { throw .internal }
        guard let name = rule.maxAgeField else { return .setCookie(rule, value: text, maxAge: nil) }
        guard case .number(let digits)? = value[name], let age = UInt32(digits) else { throw .internal }
        return .setCookie(rule, value: text, maxAge: age)
    }

    /// The whole response as JSON.
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
                path: path, query: query, of: route.request, ignoringUnknown: route.http.ignoresUnknownQuery
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
