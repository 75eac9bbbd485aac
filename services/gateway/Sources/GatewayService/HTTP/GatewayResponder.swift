import HTTPTypes
package import Hummingbird
import HummingbirdCore
import NIOCore
import NIOHTTP1
import RPCCore

/// The one responder: Hummingbird speaks HTTP, the route table of the contract says the rest.
package struct GatewayResponder: HTTPResponder {
    package typealias Context = ConnectionContext

    private let gateway: Gateway

    package init(gateway: Gateway) { self.gateway = gateway }

    package func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        let answer = HTTPAnswer(
            await gateway.answer(GatewayRequest(request, peer: context.peer)), isHead: request.method == .head)
        var response = Response(
            status: answer.head.status, headers: answer.head.headerFields, body: ResponseBody(byteBuffer: answer.body))
        // A length is no part of an answer without content (RFC 9110, section 8.6).
        if response.status == .noContent { response.headers[.contentLength] = nil }
        return response
    }
}

/// What is known of the connection.
package struct ConnectionContext: InitializableFromSource {
    let peer: String

    package init(source: ApplicationRequestContextSource) {
        self.peer = source.channel.remoteAddress?.ipAddress ?? ""
    }
}

extension GatewayRequest {
    fileprivate init(_ request: Request, peer: String) {
        let headers = RequestHeaders(request.headers)
        let body = request.body
        self.init(
            verb: request.method.rawValue, target: request.head.path ?? "", headers: headers, peer: peer,
            body: { limit throws(BodyFailure) in
                let bytes = try await body.collect(atMost: limit)
                // A stream that ends early looks like one that ended; the announced length tells.
                guard headers.contentLength.map({ $0 == bytes.count }) ?? true else { throw .clientGone }
                return bytes
            })
    }
}

extension RequestHeaders {
    fileprivate init(_ fields: HTTPFields) {
        self.init()
        authorization = fields[values: .authorization]
        cookies = RequestCookies(headers: fields[values: .cookie])
        contentType = fields[values: .contentType]
        contentEncoding = fields[values: .contentEncoding]
        contentLength = fields[.contentLength].flatMap { Int($0) }
        forwardedFor = Self.forwardedForName.map { fields[values: $0] } ?? []
        requestID = Self.requestIDName.flatMap { fields[$0] }
        userAgent = fields[.userAgent]
        traceparent = Self.traceparentName.map { fields[values: $0] } ?? []
        tracestate = Self.tracestateName.map { fields[values: $0] } ?? []
    }

    private static let forwardedForName = HTTPField.Name("x-forwarded-for")
    private static let requestIDName = HTTPField.Name("x-request-id")
    private static let traceparentName = HTTPField.Name(TraceContext.parentField)
    private static let tracestateName = HTTPField.Name(TraceContext.stateField)
}

extension RequestBody {
    fileprivate func collect(atMost limit: Int) async throws(BodyFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await buffer in self {
                guard bytes.count + buffer.readableBytes <= limit else { throw BodyFailure.tooLarge }
                bytes += buffer.readableBytesView
            }
            return bytes
        } catch let failure as BodyFailure {
            throw failure
        } catch is BodyTimeout {
            throw .timeout
        } catch is HTTPParserError {
            throw .malformed
        } catch {
            throw .clientGone
        }
    }
}
