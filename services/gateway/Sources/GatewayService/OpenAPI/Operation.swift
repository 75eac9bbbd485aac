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

    /// A PUBLIC route takes a token and needs none.
    private var security: JSONValue {
        let bearer = JSONValue.object([.init(OpenAPIDocument.securityScheme, .array([]))])
        return .array(route.method.exposure == .public ? [] : [bearer])
    }

    private func parameters(_ schemas: inout SchemaCollector) -> [JSONValue] {
        let known: [JSONValue] = route.method.request.fields.compactMap { field in
            let isPath = pathFields.contains(field.name)
            guard isPath || !route.http.hasBody else { return nil }
            return .object([
                .init("name", .string(field.name)), .init("in", .string(isPath ? "path" : "query")),
                .init("required", .bool(isPath || field.isRequired)), .init("schema", schemas.schema(of: field)),
            ])
        }
        return known + (route.http.ignoresUnknownQuery ? [Self.otherParameters] : [])
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
        return .object([.init("required", .bool(true)), .init("content", Self.content("application/json", schema))])
    }

    private func responses(_ schemas: inout SchemaCollector) -> JSONValue {
        let success = route.http.success
        var good: [JSONValue.Member] = [.init("description", .string("Success."))]
        if success != 204 {
            good.append(
                .init("content", Self.content("application/json", schemas.reference(to: route.method.response))))
        }
        let problem = Self.content(Problem.mediaType, .reference(schema: OpenAPIDocument.problemSchema))
        let bad = statuses.map { status in
            JSONValue.Member(
                String(status),
                .object([.init("description", .string(HTTPStatus.title(of: status))), .init("content", problem)]))
        }
        let other = JSONValue.object([.init("description", .string("Any other problem.")), .init("content", problem)])
        return .object([.init(String(success), .object(good))] + bad + [.init("default", other)])
    }

    /// The problems that every route of this shape can answer with.
    private var statuses: [Int] {
        var statuses = [400]
        if route.method.exposure != .public { statuses.append(401) }
        if case .admin = route.method.exposure { statuses.append(403) }
        if route.http.hasBody { statuses += [413, 415] }
        if route.method.rate != nil { statuses.append(429) }
        return statuses + [503, 504]
    }

    private static func content(_ mediaType: String, _ schema: JSONValue) -> JSONValue {
        .object([.init(mediaType, .object([.init("schema", schema)]))])
    }
}
