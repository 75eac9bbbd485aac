package import RPCCore

/// Paths and verbs to endpoints, from the contract alone.
///
/// Matching is exact, byte for byte, on decoded segments. Where a literal and a parameter could both match, the literal
/// does, finally. What comes out is the method itself: everything decided later (authorization, limits) hangs on it and
/// never on the path's spelling.
package struct RouteTable: Sendable {
    /// What became of a look-up.
    package enum Match: Sendable {
        /// The endpoint and the values of its template's fields.
        case found(Endpoint, fields: [String: String])
        /// The path exists, with other verbs.
        case wrongVerb(allowed: [String])
        case notFound
    }

    private struct Entry {
        let endpoint: Endpoint
        let names: [String]
    }

    private struct Node {
        var literals: [String: Int] = [:]
        var parameter: Int?
        var entries: [String: Entry] = [:]
    }

    private var nodes = [Node()]
    /// The served routes, in the contract's order.
    package private(set) var routes: [Route] = []

    /// - Throws: `RouteConflict` when two methods have one verb and one path.
    package init(codings: [MethodCoding]) throws(RouteConflict) {
        for builtIn in BuiltIn.allCases {
            let literal = HTTPRoute.Segment.literal(String(builtIn.rawValue.dropFirst()))
            try add(.builtIn(builtIn), verb: .get, segments: [literal], template: builtIn.rawValue)
        }
        for route in codings.compactMap(Route.init) {
            try add(.route(route), verb: route.http.verb, segments: route.http.segments, template: route.http.template)
            routes.append(route)
        }
    }

    package func match(verb: String, segments: [String]) -> Match {
        var values: [String] = []
        var node = nodes[0]
        for segment in segments {
            if let next = node.literals[segment] {
                node = nodes[next]
            } else if let next = node.parameter, !segment.isEmpty {
                values.append(segment)
                node = nodes[next]
            } else {
                return .notFound
            }
        }
        return Self.choose(verb, among: node.entries, values: values)
    }

    /// HEAD is GET without its body (RFC 9110, section 9.3.2), and safe (9.2.1): a scanner of links must not use up
    /// what a GET with side effects gives once.
    private static func choose(_ verb: String, among entries: [String: Entry], values: [String]) -> Match {
        guard !entries.isEmpty else { return .notFound }
        let head = entries["GET"].flatMap { $0.endpoint.isSafe ? $0 : nil }
        guard let entry = verb == "HEAD" ? head : entries[verb] else {
            return .wrongVerb(allowed: (entries.keys + (head == nil ? [] : ["HEAD"])).sorted())
        }
        let pairs = zip(entry.names, values).map { ($0, $1) }
        return .found(entry.endpoint, fields: Dictionary(pairs) { _, last in last })
    }

    private mutating func add(
        _ endpoint: Endpoint, verb: HTTPRoute.Verb, segments: [HTTPRoute.Segment], template: String
    ) throws(RouteConflict) {
        var node = 0
        var names: [String] = []
        for segment in segments {
            if case .field(let name) = segment { names.append(name) }
            node = child(of: node, for: segment)
        }
        if let other = nodes[node].entries[verb.rawValue] {
            throw RouteConflict(
                "\(endpoint.name) and \(other.endpoint.name) both want \(verb.rawValue) \(template).")
        }
        nodes[node].entries[verb.rawValue] = Entry(endpoint: endpoint, names: names)
    }

    private mutating func child(of node: Int, for segment: HTTPRoute.Segment) -> Int {
        let known: Int? =
            switch segment {
            case .literal(let text): nodes[node].literals[text]
            case .field: nodes[node].parameter
            }
        if let known { return known }
        nodes.append(Node())
        let new = nodes.count - 1
        switch segment {
        case .literal(let text): nodes[node].literals[text] = new
        case .field: nodes[node].parameter = new
        }
        return new
    }
}

/// Two methods that no request could tell apart.
package struct RouteConflict: Error, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
