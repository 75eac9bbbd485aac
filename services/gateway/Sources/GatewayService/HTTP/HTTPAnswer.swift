import HTTPTypes
import NIOCore

/// An answer in the types of the HTTP library.
struct HTTPAnswer: Sendable {
    let head: HTTPResponse
    let body: ByteBuffer

    /// - Parameter isHead: The answer to a HEAD request: the length is told, the body is not sent.
    init(_ response: GatewayResponse, isHead: Bool = false) {
        var fields = HTTPFields()
        for header in response.headers {
            guard let name = HTTPField.Name(header.name) else { continue }
            fields.append(HTTPField(name: name, value: header.value))
        }
        if response.status != 204 { fields[.contentLength] = String(response.body.count) }
        let phrase = HTTPStatus.title(of: response.status)
        let status = HTTPResponse.Status(code: response.status)
        self.head = HTTPResponse(
            status: status.reasonPhrase.isEmpty ? .init(code: response.status, reasonPhrase: phrase) : status,
            headerFields: fields)
        self.body = isHead ? ByteBuffer() : ByteBuffer(bytes: response.body)
    }
}
