import Contracts
package import FuzzWire
import GatewayService
import JOSE
import RPCCore
import ServiceKit

extension FuzzTarget {
    /// A request as the HTTP library hands it over: verb, target, header fields and body; and a backend's answer.
    package static let http = FuzzTarget("http") { bytes, plant throws(BrokenPromise) in
        var input = FuzzInput(bytes)
        let routes = try Edge.routes.get()
        let request = EdgeRequest(&input, routes)
        try request.checkHeaders()
        try checkJSON(request.body, plant)
        // So few bytes from the front, whatever follows: as the end of long inputs a whole text is hardly ever met.
        var front = FuzzInput(bytes)
        try checkJSON(front.bytes(atMost: 64), plant)
        try request.checkRoute(routes)
        try request.checkAnswer(routes)
    }
}

private enum Edge {
    static let routes = Result { () throws(BrokenPromise) in
        do throws(RouteConflict) {
            return try RouteTable(codings: Contract.codings)
        } catch {
            throw BrokenPromise("\(error)")
        }
    }
    static let verbs = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "get"]
    static let proxies = ["10.0.0.0/8", "::1", "127.0.0.1"].compactMap(AddressBlock.init)
    static let cookies = Contract.codings.flatMap { $0.descriptor.request.fields }.filter { $0.cookie != nil }
}

/// A request made of choices.
private struct EdgeRequest {
    let verb: String
    let target: String
    var headers = RequestHeaders()
    let peer: String
    let body: [UInt8]

    init(_ input: inout FuzzInput, _ routes: RouteTable) {
        verb = input.choose(Edge.verbs)
        target = Self.target(&input, routes)
        peer = input.flag() ? "127.0.0.1" : Self.text(&input)
        let shape = input.byte()
        if shape & 1 != 0 { headers.authorization = ["Bearer " + Self.text(&input)] }
        if shape & 2 != 0 { headers.authorization.append(Self.text(&input)) }
        if shape & 4 != 0 { headers.cookies = RequestCookies(headers: [Self.text(&input), Self.cookie(&input)]) }
        if shape & 8 != 0 { headers.contentType = [Self.text(&input)] }
        if shape & 16 != 0 { headers.forwardedFor = [Self.text(&input), Self.text(&input)] }
        if shape & 32 != 0 { headers.requestID = Self.text(&input) }
        if shape & 64 != 0 { headers.userAgent = Self.text(&input) }
        if shape & 128 != 0 { headers.contentEncoding = [Self.text(&input)] }
        body = input.remaining()
    }

    private static func text(_ input: inout FuzzInput) -> String {
        String(decoding: input.bytes(atMost: 64), as: UTF8.self)
    }

    private static func cookie(_ input: inout FuzzInput) -> String {
        let name = Edge.cookies.isEmpty ? "none" : input.choose(Edge.cookies).cookie?.name ?? "none"
        return "\(name)=\(text(&input))"
    }

    /// A route's own path with other values, or anything.
    private static func target(_ input: inout FuzzInput, _ routes: RouteTable) -> String {
        let known = routes.routes.map(\.http.template) + BuiltIn.allCases.map(\.rawValue)
        guard input.below(8) != 7 else { return text(&input) }
        let template = input.choose(known)
        let path = template.split(separator: "/", omittingEmptySubsequences: false).map { piece in
            piece.hasPrefix("{") ? text(&input) : String(piece)
        }
        let query = input.flag() ? "?" + text(&input) : ""
        return path.joined(separator: "/") + query
    }

    // MARK: Promises

    func checkHeaders() throws(BrokenPromise) {
        let agent = headers.shownUserAgent
        let isClean = agent.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
        try promise(isClean && agent.unicodeScalars.count <= RequestHeaders.userAgentLength, "a user agent: \(agent)")
        try promise(RequestID.isValid(headers.acceptedRequestID), "a request id: \(headers.acceptedRequestID)")
        let address = TrustedProxies(Edge.proxies).client(peer: peer, forwardedFor: headers.forwardedFor)
        try promise(address == peer || ClientAddress(address) != nil, "a client's address: \(address)")
        _ = headers.announceJSON
        guard case .token(let token) = BearerToken(headers: headers.authorization) else { return }
        try promise(token.utf8.count <= BearerToken.maximumLength, "a token of \(token.utf8.count) bytes")
        try promise(!isAccepted(token), "a token that nobody signed is good")
    }

    private func isAccepted(_ token: String) -> Bool {
        guard let keys = try? JWKSet([]) else { return false }
        let verifier = TokenVerifier(
            keys: keys, type: .accessToken, issuer: AccessTokens.defaultIssuer, audience: AccessTokens.defaultAudience)
        return (try? verifier.verify(token, now: 0)) != nil
    }

    /// A client's request is the client's fault, and the answer says so in JSON.
    func checkRoute(_ routes: RouteTable) throws(BrokenPromise) {
        guard let parsed = try? RequestTarget(parsing: target) else { return }
        try promise(parsed.query.count <= RequestTarget.maximumPairs, "\(parsed.query.count) parameters")
        guard case .found(.route(let route), let fields) = routes.match(verb: verb, segments: parsed.segments) else {
            return
        }
        let bytes: [UInt8]
        do throws(Problem) {
            bytes = try Transcoder.request(
                of: route, path: fields, query: parsed.query, body: route.http.hasBody ? body : nil,
                cookies: headers.cookies)
        } catch {
            return try check(error, statuses: 400..<500)
        }
        try promise(bytes.count <= 4 * (target.utf8.count + body.count) + 1024, "a request grows to \(bytes.count)")
    }

    /// A backend's answer that makes no sense is an inner fault, and no header of it can hold another.
    func checkAnswer(_ routes: RouteTable) throws(BrokenPromise) {
        guard !routes.routes.isEmpty else { return }
        let route = routes.routes[target.utf8.count % routes.routes.count]
        let answer: Transcoder.Answer
        do throws(Problem) {
            answer = try Transcoder.answer(body, of: route)
        } catch {
            return try check(error, statuses: 500..<501)
        }
        try promise((try? JSONReader.read(answer.json)) != nil, "an answer that is no JSON")
        for cookie in answer.cookies {
            let isOneLine = cookie.value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
            let parts = cookie.value.split(separator: ";").count
            try promise(isOneLine && (5...6).contains(parts), "a cookie: \(cookie.value)")
        }
    }

    private func check(_ problem: Problem, statuses: Range<Int>) throws(BrokenPromise) {
        try promise(statuses.contains(problem.status), "\(problem.status): \(problem.detail)")
        let response = GatewayResponse.problem(problem, requestID: headers.acceptedRequestID)
        try promise((try? JSONReader.read(response.body)) != nil, "a problem that is no JSON")
        let isClean = response.headers.allSatisfy { $0.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }
        try promise(isClean, "a header with control characters")
    }
}

/// What was read as JSON can be written and read again.
private func checkJSON(_ text: [UInt8], _ plant: Plant) throws(BrokenPromise) {
    guard let value = try? JSONReader.read(text) else { return }
    let again = try? JSONReader.read(value.utf8)
    // The built-in fault: an empty list is lost.
    let isLost = plant == .planted && value == .array([])
    try promise(again == value && !isLost, "JSON comes back as something else")
}
