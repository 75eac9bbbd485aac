/// An HTTP answer, whichever version takes it.
package struct GatewayResponse: Sendable, Hashable {
    package var status: Int
    package var headers: [HTTPHeader]
    package var body: [UInt8]

    package init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package static func json(_ body: [UInt8], status: Int = 200, cache: HTTPHeader = .noStore) -> GatewayResponse {
        GatewayResponse(status: status, headers: [.init("Content-Type", "application/json"), cache], body: body)
    }

    package static func noContent(status: Int = 204) -> GatewayResponse {
        GatewayResponse(status: status, headers: [.noStore])
    }

    package static func problem(_ problem: Problem, requestID: String) -> GatewayResponse {
        GatewayResponse(
            status: problem.status,
            headers: [.init("Content-Type", Problem.mediaType), .noStore] + problem.headers,
            body: problem.json(requestID: requestID).utf8)
    }

    /// With what every answer carries.
    func completed(requestID: String) -> GatewayResponse {
        var response = self
        response.headers += [.init("X-Content-Type-Options", "nosniff"), .init("X-Request-Id", requestID)]
        return response
    }

    /// The value of a header, names compared without case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

extension HTTPHeader {
    package static let noStore = HTTPHeader("Cache-Control", "no-store")

    /// `no-store` unless the contract lets caches keep the answer so many seconds.
    static func cache(maxAge: Int, isPublic: Bool) -> HTTPHeader {
        maxAge > 0 ? HTTPHeader("Cache-Control", "\(isPublic ? "public" : "private"), max-age=\(maxAge)") : .noStore
    }
}
