/// One mail on the wire (RFC 5322, RFC 2045, RFC 2046): multipart/alternative, plain text before HTML.
struct MIMEMessage: Sendable {
    let id: String
    let date: Microseconds
    let from: Mailbox
    let to: Mailbox
    let content: MailContent

    /// The message's bytes: lines end in CRLF, all characters are ASCII.
    ///
    /// - Throws: `MIMEError.forbiddenCharacter` when a value could break out of its header.
    func encoded() throws -> [UInt8] {
        let boundary = "=_\(id)"
        let head = try headers(boundary: boundary).map { "\($0): \($1.text)\r\n" }.joined()
        let parts = [("text/plain", content.text), ("text/html", content.html)].map { type, body in
            """
            --\(boundary)\r
            Content-Type: \(type); charset=utf-8\r
            Content-Transfer-Encoding: quoted-printable\r
            \r
            \(QuotedPrintable.encode(body))\r

            """
        }
        return Array("\(head)\r\n\(parts.joined())--\(boundary)--\r\n".utf8)
    }

    /// The boundary cannot occur in a part: quoted-printable never writes `=_`.
    private func headers(boundary: String) throws -> [(String, HeaderValue)] {
        [
            ("From", try HeaderValue(mailbox: from.address, name: from.name, header: "From")),
            ("To", try HeaderValue(mailbox: to.address, name: to.name, header: "To")),
            ("Subject", try HeaderValue(unstructured: content.subject, header: "Subject")),
            ("Date", try HeaderValue(token: MailDate.format(date), header: "Date")),
            ("Message-ID", try HeaderValue(token: "<\(id)@\(from.domain)>", header: "Message-ID")),
            ("Auto-Submitted", try HeaderValue(token: "auto-generated", header: "Auto-Submitted")),
            ("MIME-Version", try HeaderValue(token: "1.0", header: "MIME-Version")),
            (
                "Content-Type",
                try HeaderValue(token: "multipart/alternative; boundary=\"\(boundary)\"", header: "Content-Type")
            ),
        ]
    }
}

/// An address with a name for people.
package struct Mailbox: Sendable, Hashable {
    package var address: String
    package var name: String

    package init(address: String, name: String = "") {
        self.address = address
        self.name = name
    }

    /// What stands behind the `@`.
    var domain: Substring { address.split(separator: "@").last ?? "localhost" }
}

/// A rendered mail.
struct MailContent: Sendable {
    let subject: String
    let text: String
    let html: String
}
