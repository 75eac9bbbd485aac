import ContractClients
import Contracts
import RPCCore
import TestSupport
import Testing

@testable import EmailService

/// What leaves the service, read by somebody else's parser.
@Suite(.everyEngine) struct MessageTests {
    private func message(
        _ template: MailTemplate, to: String = "ada@example.com", name: String = "Ada",
        variables: [String: String]
    ) throws -> [UInt8] {
        let mail = Mail(template: template, to: to, name: name, variables: variables)
        let content = try #require(MailRenderer(linkBase: "https://127.0.0.1:8443/").render(mail))
        return try MIMEMessage(
            id: "msg_AbC-12_x", date: 1_795_227_189_000_000,
            from: Mailbox(address: "no-reply@lockstep.local", name: "Lockstep"),
            to: Mailbox(address: to, name: name), content: content
        ).encoded()
    }

    private func variables(_ template: MailTemplate) -> [String: String] {
        let names = template.requiredVariables + template.optionalVariables
        return Dictionary(uniqueKeysWithValues: names.map { ($0, "value-of-\($0)") })
    }

    @Test(arguments: MailTemplate.allCases)
    func everyTemplateIsAnImpeccableMail(template: MailTemplate) throws {
        let parsed = try ParsedMail(try message(template, variables: variables(template)))
        #expect(parsed.defects == [])
        #expect(parsed.clean)
        #expect(parsed.longest <= 76)
        #expect(parsed.types == ["multipart/alternative", "text/plain", "text/html"])
        #expect(parsed.header("Subject") == template.texts.subject)
        #expect(parsed.header("Date") == "Sat, 21 Nov 2026 02:13:09 +0000")
        #expect(parsed.header("Message-ID") == "<msg_AbC-12_x@lockstep.local>")
        #expect(parsed.to == [["Ada", "ada@example.com"]])
        for value in variables(template).values {
            #expect(parsed.text.contains(value))
            #expect(parsed.html.contains(value))
        }
        #expect(parsed.text.contains("Hello Ada,"))
        #expect(!parsed.text.contains("{{"))
        #expect(!parsed.html.contains("{{"))
    }

    @Test(arguments: [MailTemplate.emailVerification, .passwordReset])
    func theTokenStandsOnALineOfItsOwnAndInTheLink(template: MailTemplate) throws {
        let token = "Zm9v-_YmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8"
        let parsed = try ParsedMail(try message(template, variables: ["token": token]))
        #expect(parsed.text.split(separator: "\n").contains("Token: \(token)"))
        let link = "https://127.0.0.1:8443\(try #require(template.texts.linkPath))#token=\(token)"
        #expect(parsed.text.split(separator: "\n").contains(Substring(link)))
        #expect(parsed.html.contains("href=\"\(link)\""))
    }

    @Test(arguments: [MailTemplate.alreadyRegistered, .passwordNeeded, .passwordLocked])
    func whoeverNeedsAPasswordIsLedToWhereOneIsAskedFor(template: MailTemplate) throws {
        let parsed = try ParsedMail(try message(template, variables: [:]))
        let link = "https://127.0.0.1:8443/forgot-password"
        #expect(parsed.text.split(separator: "\n").contains(Substring(link)))
        #expect(parsed.html.contains("href=\"\(link)\""))
    }

    @Test func htmlIsEscapedAndTextIsNot() throws {
        let agent = #"<script>alert("x")</script> & 'more'"#
        let parsed = try ParsedMail(
            try message(.newSignIn, name: "<b>Ada</b>", variables: ["user_agent": agent, "address": "::1"]))
        #expect(parsed.text.contains(agent))
        #expect(!parsed.html.contains("<script>"))
        #expect(!parsed.html.contains("<b>Ada"))
        #expect(parsed.html.contains("&lt;script&gt;"))
    }

    @Test func valuesFromOutsideStayOnTheirLine() throws {
        let parsed = try ParsedMail(
            try message(.newSignIn, variables: ["user_agent": "Mozilla\r\n\r\nToken: forged\u{2028}x"]))
        #expect(!parsed.text.split(separator: "\n").contains { $0.hasPrefix("Token:") })
    }

    @Test(arguments: [
        "Ada Lovelace", "Ada \"Countess\" Lovelace", "Ада Лавлейс", "=?UTF-8?Q?forged?=", "a, b; c <d@example.com>",
        "𝒜𝒹𝒶 " + String(repeating: "👩🏽‍💻", count: 6), String(repeating: "Ä", count: 100), "back\\slash",
    ])
    func namesComeThrough(name: String) throws {
        let parsed = try ParsedMail(try message(.passwordChanged, name: name, variables: [:]))
        #expect(parsed.to == [[name, "ada@example.com"]])
        #expect(parsed.defects == [])
        #expect(parsed.longest <= 76)
        #expect(parsed.text.contains("Hello \(name),"))
    }

    @Test(arguments: ["a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\0b", "a\u{85}b", "a\u{2028}b"])
    func headersCannotBeInjected(value: String) async throws {
        #expect(throws: MIMEError.self) { try HeaderValue(unstructured: value, header: "Subject") }
        #expect(throws: MIMEError.self) { try HeaderValue(token: value, header: "Date") }
        #expect(throws: MIMEError.self) { try HeaderValue(mailbox: "ada@example.com", name: value, header: "To") }
        #expect(throws: MIMEError.self) { try HeaderValue(mailbox: "ada@example.com\(value)", name: "", header: "To") }

        let fixture = try await Fixture()
        let requests = [
            EmailSendRequest.verification(to: "ada@example.com\(value)"), .verification(name: value),
            .verification(token: value),
        ]
        for request in requests {
            let error = await #expect(throws: RPCError.self) { try await fixture.client.send(request) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.violations.isEmpty == false)
            #expect(error.map { "\($0)" }?.contains("Bcc") == false)
        }
    }

    @Test(arguments: [
        "a@b@example.com", "<a@example.com>", "a@example.com, b@example.com", "@example.com", "a@", "ä@example.com",
    ])
    func addressesThatAreNoneAreRefused(address: String) async throws {
        let fixture = try await Fixture()
        let error = await #expect(throws: RPCError.self) { try await fixture.client.send(.verification(to: address)) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.violations.first?.field == "to")
    }

    @Test func missingAndUnknownValuesAreNamed() async throws {
        let fixture = try await Fixture()
        var request = EmailSendRequest.verification()
        request.variables = ["tokn": "x"]
        let error = await #expect(throws: RPCError.self) { try await fixture.client.send(request) }
        #expect(error?.violations.map(\.field) == ["variables.token", "variables"])
    }

    @Test func quotedPrintableKeepsTextAndLineLength() throws {
        let lines = [
            "", " ", "trailing ", "tab\t", "=", String(repeating: "x", count: 75), String(repeating: "x", count: 76),
            String(repeating: "x", count: 77), String(repeating: "é", count: 60), String(repeating: " ", count: 100),
            "From here", ".", "..", "a=3Db",
        ]
        let text = lines.joined(separator: "\n")
        let content = MailContent(subject: "s", text: text, html: text)
        let mailbox = Mailbox(address: "a@example.com")
        let bytes = try MIMEMessage(id: "m", date: 0, from: mailbox, to: mailbox, content: content).encoded()
        let parsed = try ParsedMail(bytes)
        #expect(parsed.longest <= 76)
        #expect(parsed.text.trimmingSuffix { $0 == "\n" } == text[...])
    }

    @Test func datesAreRight() {
        #expect(MailDate.format(0) == "Thu, 01 Jan 1970 00:00:00 +0000")
        #expect(MailDate.format(951_782_400_000_000) == "Tue, 29 Feb 2000 00:00:00 +0000")
        #expect(MailDate.format(4_107_542_399_000_000) == "Sun, 28 Feb 2100 23:59:59 +0000")
        #expect(MailDate.format(1_735_689_599_999_999) == "Tue, 31 Dec 2024 23:59:59 +0000")
    }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return self[startIndex..<end]
    }
}
