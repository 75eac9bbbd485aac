package import RPCCore
internal import ServiceKit

/// What the gateway is made of; nothing here knows sockets.
package struct GatewayParts: Sendable {
    package var routes: RouteTable
    package var openAPI: [UInt8]
    /// The channel to each process, by name.
    package var channels: [String: any RPCChannel]
    package var authenticator: Authenticator
    package var limiter: RateLimiter
    package var proxies: TrustedProxies
    package var readiness: Readiness
    package var log: AccessLog
    package var clock: @Sendable () -> RequestTime
    /// Requests under way at once.
    package var concurrency: Int
    /// Nil where nothing is measured.
    package var telemetry: GatewayTelemetry?

    package init(
        routes: RouteTable, openAPI: [UInt8], channels: [String: any RPCChannel], authenticator: Authenticator,
        limiter: RateLimiter, proxies: TrustedProxies, readiness: Readiness, log: AccessLog,
        clock: @escaping @Sendable () -> RequestTime, concurrency: Int, telemetry: GatewayTelemetry? = nil
    ) {
        self.routes = routes
        self.openAPI = openAPI
        self.channels = channels
        self.authenticator = authenticator
        self.limiter = limiter
        self.proxies = proxies
        self.readiness = readiness
        self.log = log
        self.clock = clock
        self.concurrency = concurrency
        self.telemetry = telemetry
    }
}

/// From a request to its answer: one way for all methods. Everything that differs between them is in the contract.
package final class Gateway: Sendable {
    private let parts: GatewayParts
    private let running: LaneGauge

    package init(_ parts: GatewayParts) {
        self.parts = parts
        self.running = LaneGauge(limit: parts.concurrency)
    }

    /// Always an answer: what fails becomes a problem.
    package func answer(_ request: GatewayRequest) async -> GatewayResponse {
        let start = ContinuousClock.now
        let requestID = request.headers.acceptedRequestID
        var progress = RequestProgress(request.headers)
        var lane = Lane.routine
        var code: String?
        var response: GatewayResponse
        do {
            response = try await respond(to: request, requestID: requestID, progress: &progress, lane: &lane)
        } catch {
            code = error.code
            response = progress.isOAuth ? .oauth(error) : .problem(error, requestID: requestID)
        }
        let took = start.duration(to: .now)
        progress.ended(parts.telemetry, status: response.status, took: took)
        parts.log.record(
            progress.endpoint, status: response.status, code: code, lane: lane, requestID: requestID,
            trace: progress.trace, took: took)
        return response.completed(requestID: requestID)
    }

    private func respond(
        to request: GatewayRequest, requestID: String, progress: inout RequestProgress, lane: inout Lane
    ) async throws(Problem) -> GatewayResponse {
        let target = try Self.target(of: request)
        let (found, fields) = try find(request.verb, target)
        progress.found(found, parts.telemetry)
        switch found {
        case .builtIn(let builtIn): return try await answer(builtIn)
        case .route(let route):
            var place = try enter(route.method, request)
            defer { running.leave(place) }
            var options = CallOptions()
            options.requestID = requestID
            options.trace = progress.trace
            return try await forward(
                request, to: route, target: target, path: fields, options, place: &place, lane: &lane)
        }
    }

    /// A place for the request. Where routine ones are taken, a token that may turn out to be a responder's gets one of
    /// the emergency lane, for as long as it takes to see whose it is.
    private func enter(_ method: MethodDescriptor, _ request: GatewayRequest) throws(Problem) -> Lane {
        if running.enter(.routine) { return .routine }
        guard method.maximumLane == .emergency, BearerToken(headers: request.headers.authorization) != .none,
            running.enter(.emergency)
        else { throw .busy() }
        return .emergency
    }

    /// Moves the request to the lane that its user has been granted: nobody keeps a place of the other.
    private func settle(_ place: inout Lane, _ granted: Lane) throws(Problem) {
        guard place != granted else { return }
        guard running.move(from: place, to: granted) else { throw .busy() }
        place = granted
    }

    private static func target(of request: GatewayRequest) throws(Problem) -> RequestTarget {
        do {
            return try RequestTarget(parsing: request.target)
        } catch {
            throw .badTarget(error)
        }
    }

    private func find(_ verb: String, _ target: RequestTarget) throws(Problem) -> (Endpoint, [String: String]) {
        switch parts.routes.match(verb: verb, segments: target.segments) {
        case .found(let endpoint, let fields): return (endpoint, fields)
        case .wrongVerb(let allowed): throw .wrongVerb(allowed: allowed)
        case .notFound: throw .notFound
        }
    }

    private func answer(_ builtIn: BuiltIn) async throws(Problem) -> GatewayResponse {
        switch builtIn {
        case .health: return .json(Self.ok)
        case .openAPI: return .json(parts.openAPI)
        case .readiness:
            let missing = await parts.readiness.missing()
            guard missing.isEmpty else { throw .notReady(missing) }
            return .json(Self.ok)
        }
    }

    private static let ok = JSONValue.object([.init("status", .string("ok"))]).utf8
}

// MARK: - Methods of the contract

extension Gateway {
    /// Limits by address come before any work, limits by user once the user is verified, the body after both.
    private func forward(
        _ request: GatewayRequest, to route: Route, target: RequestTarget, path: [String: String],
        _ options: CallOptions, place: inout Lane, lane: inout Lane
    ) async throws(Problem) -> GatewayResponse {
        let requestID = options.requestID ?? RequestID.make()
        let time = parts.clock()
        let address = parts.proxies.client(peer: request.peer, forwardedFor: request.headers.forwardedFor)
        try limit(route.method, byAddress: address, time)
        let origin = ClientOrigin(address: address, userAgent: request.headers.shownUserAgent)
        let user = try await parts.authenticator.user(
            for: route.method, credentials: BearerToken(headers: request.headers.authorization),
            requestID: requestID, time: time, origin: origin)
        lane = user?.lane ?? .routine
        try settle(&place, lane)
        try limit(route.method, by: user, or: address, time)
        let body = try await body(of: request, for: route)
        let message = try Transcoder.request(
            of: route, path: path, query: target.query, body: body, cookies: request.headers.cookies,
            authorization: request.headers.authorization)
        var options = options
        options.userToken = user?.identityToken
        options.lane = lane
        options.origin = origin
        let answer = try await call(route, message, options, requestID: requestID)
        return try Self.success(answer, of: route)
    }

    private func limit(_ method: MethodDescriptor, byAddress address: String, _ time: RequestTime) throws(Problem) {
        guard method.rate?.key == .address else { return }
        try take(method, holder: Self.bucket(of: address), time)
    }

    /// A limit by user on a method that runs without one falls back to the address.
    private func limit(
        _ method: MethodDescriptor, by user: AuthenticatedUser?, or address: String, _ time: RequestTime
    ) throws(Problem) {
        guard method.rate?.key == .user else { return }
        try take(method, holder: user.map { "user:" + $0.grant.subject } ?? Self.bucket(of: address), time)
    }

    private func take(_ method: MethodDescriptor, holder: String, _ time: RequestTime) throws(Problem) {
        if let wait = parts.limiter.take(method, holder: holder, now: time.now) { throw .rateLimited(retryAfter: wait) }
    }

    private static func bucket(of address: String) -> String { ClientAddress(address)?.bucketKey ?? "ip:unknown" }

    /// The body, read and of the right type; nil where the route takes none.
    private func body(of request: GatewayRequest, for route: Route) async throws(Problem) -> [UInt8]? {
        let limit = route.http.hasBody ? route.method.requestLimit : 0
        let tooLarge: Problem = route.http.hasBody ? .bodyTooLarge(limit: limit) : .bodyNotExpected
        if let length = request.headers.contentLength, length > limit { throw tooLarge }
        let bytes: [UInt8]
        do {
            bytes = try await request.body(limit)
        } catch {
            throw Problem(reading: error, tooLarge: tooLarge)
        }
        guard route.http.hasBody else { return nil }
        if route.http.isOAuth {
            guard bytes.isEmpty || request.headers.announceForm else { throw .notAForm }
            return bytes
        }
        guard bytes.isEmpty || request.headers.announceJSON else { throw .wrongMediaType }
        return bytes.isEmpty ? Array("{}".utf8) : bytes
    }

    private func call(
        _ route: Route, _ message: [UInt8], _ options: CallOptions, requestID: String
    ) async throws(Problem) -> [UInt8] {
        guard let channel = parts.channels[route.peer] else { throw .internal }
        guard message.count <= route.method.requestLimit else {
            throw .bodyTooLarge(limit: route.method.requestLimit)
        }
        do {
            return try await channel.call(route.method, request: message, options: options)
        } catch {
            parts.log.failure(error, calling: route.method, requestID: requestID)
            throw StatusTable.problem(of: error, calling: route.method)
        }
    }

    private static func success(_ answer: [UInt8], of route: Route) throws(Problem) -> GatewayResponse {
        guard route.http.success != 204 else { return .noContent() }
        let cache = HTTPHeader.cache(maxAge: route.http.maxAge, isPublic: route.method.exposure == .public)
        let answer = try Transcoder.answer(answer, of: route)
        var response = GatewayResponse.json(answer.json, status: route.http.success, cache: cache)
        response.headers += answer.cookies
        if route.http.isOAuth { response.headers.append(.noCache) }
        return response
    }
}

extension Problem {
    fileprivate init(reading failure: BodyFailure, tooLarge: Problem) {
        self =
            switch failure {
            case .tooLarge: tooLarge
            case .timeout: .bodyTimeout
            case .malformed: .malformedRequest
            case .clientGone: .clientGone
            }
    }
}

// MARK: - What is no request

extension Gateway {
    /// The answer to bytes that never became a request.
    func refuse(_ problem: Problem) -> GatewayResponse {
        let requestID = RequestID.make()
        parts.log.record(nil, status: problem.status, code: problem.code, requestID: requestID, trace: nil, took: .zero)
        return GatewayResponse.problem(problem, requestID: requestID).completed(requestID: requestID)
    }
}
