import RPCCore

/// An HTTP request, whichever version brought it.
package struct GatewayRequest: Sendable {
    package var verb: String
    /// Path and query as they came.
    package var target: String
    package var headers: RequestHeaders
    /// The socket's other end.
    package var peer: String
    package var body: RequestBodyReader

    package init(
        verb: String, target: String, headers: RequestHeaders = RequestHeaders(), peer: String = "127.0.0.1",
        body: @escaping RequestBodyReader = { _ in [] }
    ) {
        self.verb = verb
        self.target = target
        self.headers = headers
        self.peer = peer
        self.body = body
    }
}

/// Reads the body, of at most so many bytes.
package typealias RequestBodyReader = @Sendable (_ limit: Int) async throws(BodyFailure) -> [UInt8]

package enum BodyFailure: Error, Sendable, Hashable {
    case tooLarge
    case timeout
    case malformed
    case clientGone
}

/// The header fields that mean something here. All others, internal-looking ones too, are not even looked at.
package struct RequestHeaders: Sendable, Hashable {
    package var authorization: [String] = []
    package var cookies = RequestCookies()
    package var contentType: [String] = []
    package var contentEncoding: [String] = []
    package var contentLength: Int?
    package var forwardedFor: [String] = []
    package var requestID: String?
    package var userAgent: String?
    /// W3C Trace Context, each field as often as it came.
    package var traceparent: [String] = []
    package var tracestate: [String] = []

    package init() {}

    /// The client's own request id where it is one, else a new one.
    package var acceptedRequestID: String {
        guard let requestID, (8...RequestID.maximumLength).contains(requestID.utf8.count), RequestID.isValid(requestID)
        else { return RequestID.make() }
        return requestID
    }

    /// What the client calls itself, cut to what services keep, without control characters.
    package var shownUserAgent: String {
        let clean = (userAgent ?? "").unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }
        return String(String.UnicodeScalarView(clean.prefix(Self.userAgentLength)))
    }

    /// Characters of a user agent that are kept.
    package static let userAgentLength = 256

    /// Whether a body of these headers can be read: JSON (RFC 8259, section 11), in UTF-8, not compressed.
    package var announceJSON: Bool {
        let encodings = contentEncoding.filter { $0.lowercased() != "identity" }
        guard contentType.count == 1, encodings.isEmpty else { return false }
        let parts = contentType[0].lowercased().split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
        guard parts.first == "application/json" else { return false }
        return parts.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || Self.utf8Names.contains($0) }
    }

    private static let utf8Names: Set = ["charset=utf-8", "charset=\"utf-8\""]
}
