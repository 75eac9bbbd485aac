package import RPCCore

/// A method of the contract that the gateway serves, and how HTTP reaches it.
package struct Route: Sendable {
    package let coding: MethodCoding
    package let http: HTTPRoute
    /// What path, query and body may hold of the request: all but what comes in cookies.
    package let request: MessageDescriptor
    package let requestCookies: [FieldDescriptor]
    package let responseCookies: [FieldDescriptor]

    package var method: MethodDescriptor { coding.descriptor }

    /// Nil for methods that the contract keeps from the outside or from this gateway.
    package init?(_ coding: MethodCoding) {
        let method = coding.descriptor
        guard let http = method.http, method.exposure != .internal, method.callers.contains(Self.caller) else {
            return nil
        }
        self.coding = coding
        self.http = http
        self.request = method.request.withoutCookies
        self.requestCookies = method.request.cookieFields
        self.responseCookies = method.response.cookieFields
    }

    /// The name by which the contract allows this gateway to call.
    package static let caller = "gateway"

    /// The process that hosts the method: the `auth` of `lockstep.auth.v1.AuthService`.
    package var peer: String { Self.peer(of: method) }

    /// The process that hosts `method`, from its proto package.
    package static func peer(of method: MethodDescriptor) -> String {
        let parts = method.service.split(separator: ".")
        return parts.count > 1 ? String(parts[1]) : method.service
    }
}

/// What the gateway answers by itself.
package enum BuiltIn: String, Sendable, CaseIterable {
    case health = "/healthz"
    case readiness = "/readyz"
    case openAPI = "/openapi.json"
}

/// What a path and a verb lead to.
package enum Endpoint: Sendable {
    case route(Route)
    case builtIn(BuiltIn)

    /// Asking changes nothing.
    package var isSafe: Bool {
        switch self {
        case .route(let route): route.method.idempotency == .noSideEffects
        case .builtIn: true
        }
    }

    /// The name in logs.
    package var name: String {
        switch self {
        case .route(let route): route.method.fullName
        case .builtIn(let builtIn): builtIn.rawValue
        }
    }
}
