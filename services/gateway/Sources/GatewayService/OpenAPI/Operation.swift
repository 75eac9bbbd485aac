import RPCCore

/// One route as an OpenAPI operation.
struct Operation {
    private let route: Route
    private let pathFields: Set<String>

    init(_ route: Route) {
        self.route = route
        self.pathFields = Set(
            route.http.segments.compactMap { if case .field(let name) = $0 { name } else { nil } })
    }

    func json(_ schemas: inout SchemaCollector) -> JSONValue {
        let service = route.method.service.split(separator: ".").last.map(String.init) ?? route.method.service
        var members: [JSONValue.Member] = [
            .init("operationId", .string("\(service)_\(route.method.name)")),
            .init("tags", .array([.string(service)])),
        ]
        let parameters = parameters(&schemas)
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if route.http.hasBody { members.append(.init("requestBody", body(&schemas))) }
        members.append(.init("responses", responses(&schemas)))
        members.append(.init("security", security))
        return .object(members)
    }

    /// Of several requirements one is enough, and the empty one always is met.
    private var security: JSONValue {
        // Or in the form.
        let client = JSONValue.object([.init(OpenAPIDocument.clientScheme, .array([]))])
        if route.http.isOAuth { return .array([client, .object([])]) }
        let bearer = JSONValue.object([.init(OpenAPIDocument.securityScheme, .array([]))])
        guard route.method.exposure == .public else { return .array([bearer]) }
        return .array(route.method.optionalUser ? [bearer, .object([])] : [])
    }

    private func parameters(_ schemas: inout SchemaCollector) -> [JSONValue] {
        let known: [JSONValue] = route.request.fields.compactMap { field in
            let isPath = pathFields.contains(field.name)
            guard isPath || !route.http.hasBody else { return nil }
            return .object([
                .init("name", .string(field.name)), .init("in", .string(isPath ? "path" : "query")),
                .init("required", .bool(isPath || field.isRequired)), .init("schema", schemas.schema(of: field)),
            ])
        }
        let cookies = route.requestCookies.map { Self.cookie($0, schemas.schema(of: $0)) }
        return known + cookies + (route.http.ignoresUnknownQuery ? [Self.otherParameters] : [])
    }

    private static func cookie(_ field: FieldDescriptor, _ schema: JSONValue) -> JSONValue {
        .object([
            .init("name", .string(field.cookie?.name ?? field.name)), .init("in", .string("cookie")),
            .init("required", .bool(false)), .init("schema", schema),
        ])
    }

    /// Any other parameter, in OpenAPI's words: the members of an exploded object are parameters of their own.
    private static let otherParameters: JSONValue = {
        let text = JSONValue.object([.init("type", .string("string"))])
        let schema = JSONValue.object([.init("type", .string("object")), .init("additionalProperties", text)])
        return .object([
            .init("name", .string("other")), .init("in", .string("query")), .init("required", .bool(false)),
            .init("description", .string("Other parameters are ignored.")),
            .init("style", .string("form")), .init("explode", .bool(true)), .init("schema", schema),
        ])
    }()

    private func body(_ schemas: inout SchemaCollector) -> JSONValue {
        let schema = schemas.reference(to: route.method.request, without: pathFields)
        return .object([.init("required", .bool(true)), .init("content", Self.content(mediaType, schema))])
    }

    private var mediaType: String { route.http.isOAuth ? "application/x-www-form-urlencoded" : "application/json" }

    private func responses(_ schemas: inout SchemaCollector) -> JSONValue {
        let success = route.http.success
        var good: [JSONValue.Member] = [.init("description", .string("Success."))] + setCookie
        if success != 204 {
            good.append(
                .init("content", Self.content("application/json", schemas.reference(to: route.method.response))))
        }
        let problem =
            route.http.isOAuth
            ? Self.content("application/json", .reference(schema: OpenAPIDocument.oauthSchema))
            : Self.content(Problem.mediaType, .reference(schema: OpenAPIDocument.problemSchema))
        let bad = statuses.map { status in
            JSONValue.Member(
                String(status),
                .object([.init("description", .string(HTTPStatus.title(of: status))), .init("content", problem)]))
        }
        let other = JSONValue.object([.init("description", .string("Any other problem.")), .init("content", problem)])
        return .object([.init(String(success), .object(good))] + bad + [.init("default", other)])
    }

    private var setCookie: [JSONValue.Member] {
        let names = route.responseCookies.compactMap { $0.cookie?.name }
        guard !names.isEmpty else { return [] }
        let text = JSONValue.object([.init("type", .string("string"))])
        let header = JSONValue.object([
            .init("description", .string("Sets \(names.joined(separator: ", ")).")), .init("schema", text),
        ])
        return [.init("headers", .object([.init("Set-Cookie", header)]))]
    }

    /// The problems that every route of this shape can answer with.
    private var statuses: [Int] {
        if route.http.isOAuth { return [400, 401, 413] + (route.method.rate == nil ? [] : [429]) + [503, 504] }
        var statuses = [400]
        if route.method.exposure != .public || route.method.optionalUser { statuses.append(401) }
        if case .admin = route.method.exposure { statuses.append(403) }
        if route.http.hasBody { statuses += [413, 415] }
        if route.method.rate != nil { statuses.append(429) }
        return statuses + [503, 504]
    }

    private static func content(_ mediaType: String, _ schema: JSONValue) -> JSONValue {
        .object([.init(mediaType, .object([.init("schema", schema)]))])
    }
}
