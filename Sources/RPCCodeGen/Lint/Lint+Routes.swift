extension Lint {
    mutating func check(_ route: RouteModel, of method: MethodModel) {
        guard let verb = route.verb else {
            return report(
                method.rulesPosition, "\(method.name)'s `http` names no verb.", "Write `http: {get: \"/v1/…\"}`.")
        }
        checkTemplate(route, of: method)
        for name in route.fields { checkPathField(name, of: method) }
        checkBody(route, verb, of: method)
        checkOAuth(route, verb, of: method)
        checkAnswer(route, verb, of: method)
    }

    private mutating func checkTemplate(_ route: RouteModel, of method: MethodModel) {
        let parts = route.template.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isWhole = route.template.hasPrefix("/") && !parts.isEmpty && parts.allSatisfy { !$0.isEmpty }
        guard !isWhole || !route.segments.allSatisfy(Self.isWellFormed) else { return }
        report(
            method.rulesPosition, "\(method.name)'s path \"\(route.template)\" is not one.",
            "Write `/v1/things/{thing_id}`: literals of letters, digits and . _ ~ : - between slashes, or one {field}.")
    }

    private static func isWellFormed(_ segment: RouteModel.Segment) -> Bool {
        let (text, marks) =
            switch segment {
            case .literal(let text): (text, "._~:-")
            case .field(let name): (name, "_")
            }
        return !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || marks.contains($0)) }
    }

    private mutating func checkPathField(_ name: String, of method: MethodModel) {
        guard let field = method.request.fields.first(where: { $0.name == name }) else {
            let known = method.request.fields.map(\.name).joined(separator: ", ")
            return report(
                method.rulesPosition, "\(method.name)'s path names {\(name)}, which its request does not have.",
                known.isEmpty ? "Add the field." : "Write one of \(known), or add the field.")
        }
        if field.arity != .single || !field.isText {
            report(
                method.rulesPosition, "\(method.name)'s path names {\(name)}, which is not a single string.",
                "Make \(name) a `string`.")
        }
        if field.isSecret {
            report(
                method.rulesPosition, "\(method.name)'s path holds {\(name)}, which is SECRET; paths are logged.",
                "Put \(name) into the body.")
        }
    }

    private mutating func checkBody(_ route: RouteModel, _ verb: String, of method: MethodModel) {
        if !method.rules.http.body.isEmpty, !route.hasBody {
            report(
                method.rulesPosition, "\(method.name)'s body is \"\(method.rules.http.body)\".",
                "Write `body: \"*\"` for the whole request, or leave it out.")
        }
        if route.hasBody, verb == "get" || verb == "delete" {
            report(
                method.rulesPosition, "\(method.name) has a body with \(verb.uppercased()).",
                "Leave `body` out; fields come from the query.")
        }
        if route.hasBody, route.ignoresUnknownQuery {
            report(
                method.rulesPosition, "\(method.name) has a body, so it takes no query at all.",
                "Leave `ignore_unknown_query` out.")
        }
        guard !route.hasBody else { return }
        for field in method.request.fields where !route.fields.contains(field.name) && !Self.fitsQuery(field) {
            report(
                method.rulesPosition,
                "\(method.name)'s \(field.name) would come from the query, which holds plain values.",
                "Write `body: \"*\"`, or make \(field.name) a string, number or truth value.")
        }
    }

    private mutating func checkOAuth(_ route: RouteModel, _ verb: String, of method: MethodModel) {
        guard route.isOAuth else { return }
        let fields = method.request.fields.filter { $0.arity == .single && $0.isText }.map(\.name)
        guard verb != "post" || !route.hasBody || method.rules.exposure != .public || !route.fields.isEmpty
            || !fields.contains("client_id") || !fields.contains("client_secret")
            || !method.request.fields.allSatisfy({ $0.arity == .single && $0.isText })
        else { return }
        report(
            method.rulesPosition, "\(method.name) has `oauth`, but not the shape of an endpoint for OAuth clients.",
            "Make it PUBLIC, `post` with `body: \"*\"` and no field in the path, and its request single strings with "
                + "client_id and client_secret among them.")
    }

    private static func fitsQuery(_ field: FieldModel) -> Bool {
        switch (field.arity, field.kind) {
        case (.map, _), (_, .message): false
        case (.single, _), (.list, _): true
        }
    }

    private mutating func checkAnswer(_ route: RouteModel, _ verb: String, of method: MethodModel) {
        if !(200...299).contains(route.success) {
            report(
                method.rulesPosition, "\(method.name)'s success is \(route.success).", "Write a status of 200 to 299.")
        }
        if route.success == 204, !method.response.fields.isEmpty {
            report(
                method.rulesPosition, "\(method.name) answers 204, which has no body, but its response has fields.",
                "Write `success: 200`, or a response without fields.")
        }
        guard route.maxAge > 0 else { return }
        let hasSecret = method.response.closure.contains { $0.fields.contains(where: \.isHidden) }
        if verb != "get" || method.rules.exposure != .public || hasSecret {
            report(
                method.rulesPosition, "\(method.name) has a `max_age`, but its answer is not the same for everybody.",
                "Leave `max_age` out: only PUBLIC answers to GET without personal or secret fields may be kept.")
        }
    }

    /// No two methods may answer one request.
    mutating func checkRoutes() {
        let routed = contract.methods.compactMap { method in method.route.map { (method, $0) } }
            .sorted { $0.0.rulesPosition < $1.0.rulesPosition }
        for (index, (method, route)) in routed.enumerated() {
            guard let (other, theirs) = routed[..<index].first(where: { route.collides(with: $0.1) }) else { continue }
            report(
                method.rulesPosition,
                "\(method.name)'s route \(route.description) is taken by \(other.name): \(theirs.description).",
                "Write another path or verb; the names of path fields do not tell routes apart.")
        }
    }
}
