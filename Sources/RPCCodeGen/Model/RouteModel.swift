/// The HTTP form of a method, its path taken apart.
struct RouteModel {
    enum Segment: Hashable {
        case literal(String)
        case field(String)
    }

    /// `get`, `post`, `put`, `delete` or `patch`; nil when the contract names none.
    let verb: String?
    let template: String
    let segments: [Segment]
    let hasBody: Bool
    let success: UInt32
    let maxAge: UInt32
    let ignoresUnknownQuery: Bool
    let isOAuth: Bool

    init(_ rules: ContractHTTP) {
        (verb, template) = Self.parts(rules.route)
        segments = template.split(separator: "/").map(Self.segment)
        hasBody = rules.body == "*"
        success = rules.success == 0 ? 200 : rules.success
        maxAge = rules.maxAge
        ignoresUnknownQuery = rules.ignoreUnknownQuery
        isOAuth = rules.oauth
    }

    var fields: [String] {
        segments.compactMap { if case .field(let name) = $0 { name } else { nil } }
    }

    /// `GET /v1/sessions/{session_id}`
    var description: String { "\((verb ?? "?").uppercased()) \(template)" }

    /// Whether some path fits both and neither is the more particular one. A literal goes before a field, so
    /// `/sessions/current` and `/sessions/{id}` are fine together.
    func collides(with other: RouteModel) -> Bool {
        guard verb == other.verb, segments.count == other.segments.count else { return false }
        var (mine, theirs) = (false, false)
        for pair in zip(segments, other.segments) {
            switch pair {
            case (.literal(let a), .literal(let b)): if a != b { return false }
            case (.literal, .field): mine = true
            case (.field, .literal): theirs = true
            case (.field, .field): break
            }
        }
        return mine == theirs
    }

    private static func parts(_ route: ContractHTTP.OneOf_Route?) -> (String?, String) {
        switch route {
        case .get(let path)?: ("get", path)
        case .post(let path)?: ("post", path)
        case .put(let path)?: ("put", path)
        case .delete(let path)?: ("delete", path)
        case .patch(let path)?: ("patch", path)
        case nil: (nil, "")
        }
    }

    private static func segment(_ text: Substring) -> Segment {
        text.hasPrefix("{") && text.hasSuffix("}")
            ? .field(String(text.dropFirst().dropLast())) : .literal(String(text))
    }
}
