import ServiceKit
import Testing

@testable import AuthService

@Suite struct DomainTests {
    @Test(
        "OWASP Email Validation: an address has one form, dots and tags stay",
        arguments: [
        (" Ada@Example.COM\t", "ada@example.com"), ("a.b+c@x-y.example", "a.b+c@x-y.example"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
    ])
    func addressesAreNormalised(raw: String, normal: String) throws {
        #expect(try EmailAddress(raw).text == normal)
    }

    @Test(arguments: [
        "", "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "a b@example.com", "ada@-x.com",
        "ada@x..com", ".ada@example.com", "ada.@example.com", "ada@example.com\r\nBcc: x@y.z", "ada@example.com\n",
        "a\u{0}da@example.com", "ädа@example.com", "\"a b\"@example.com", String(repeating: "a", count: 65) + "@x.com",
        "a@" + String(repeating: "b.", count: 130) + "com",
    ])
    func badAddressesAreRefused(raw: String) {
        #expect {
            try EmailAddress(raw)
        } throws: { error in
            guard case AuthError.invalidField("email", let problem) = error else { return false }
            return !problem.isEmpty && (raw.isEmpty || !problem.contains(raw))
        }
    }

    @Test("ASVS 6.3.8: an import takes the rounds that Encryption takes: with others each sign-in of that address would fail")
    func importedRounds() throws {
        func isTaken(_ rounds: String) throws -> Bool {
            let hash = "$2b$\(rounds)$" + String(repeating: "a", count: 53)
            let line = Array(#"{"email":"ada@example.com","password_hash":"\#(hash)"}"#.utf8)
            do {
                _ = try ImportedUser(json: line[...])
                return true
            } catch let problem {
                #expect(problem == .hash)
                return false
            }
        }
        let taken = try (0...99).filter { try isTaken($0 < 10 ? "0\($0)" : "\($0)") }
        #expect(taken == Array(4...16))
        for rounds in ["4", "+5", "012", ""] { #expect(try !isTaken(rounds)) }
    }

    @Test func namesHaveNoControlCharacters() {
        #expect(throws: Never.self) { try PersonName("Ada O'Lovelace Ω") }
        #expect(throws: AuthError.self) { try PersonName("Ada\r\nBcc: x") }
        #expect(throws: AuthError.self) { try PersonName("Ada\u{2028}") }
        #expect(throws: AuthError.self) { try PersonName(String(repeating: "x", count: 201)) }
    }

    @Test("ASVS 6.5.3, 6.5.4, 7.2.3: tokens have 256 random bits and are recognised before the database is asked")
    func tokensAreRecognisedBeforeTheDatabaseIsAsked() throws {
        let token = try OpaqueToken(.refresh)
        let text = token.text.exposed
        let read = try #require(OpaqueToken(text, .refresh))
        #expect(try read.hash == token.hash)
        #expect(text.count == 52)
        #expect(OpaqueToken(text, .verification) == nil)
        #expect(OpaqueToken("lsv_" + text.dropFirst(4), .verification) == nil, "the checksum covers the purpose")
        for index in text.indices {
            var changed = text
            changed.replaceSubrange(index...index, with: text[index] == "A" ? "B" : "A")
            #expect(OpaqueToken(changed, .refresh) == nil)
        }
        for garbage in ["", "lsr_", "lsr_AAAA", text + "A", String(text.dropLast()), text + "=", "' OR 1=1 --"] {
            #expect(OpaqueToken(garbage, .refresh) == nil)
        }
        #expect(!"\(token)".contains(text.dropFirst(4)))
    }

    @Test func aSuccessorIsReadableWithItsPredecessorOnly() throws {
        let (first, second, other) = (try OpaqueToken(.refresh), try OpaqueToken(.refresh), try OpaqueToken(.refresh))
        let sealed = try first.seal(second)
        #expect(try first.openSuccessor(sealed)?.hash == second.hash)
        #expect(throws: (any Error).self) { try other.openSuccessor(sealed) }
        #expect(throws: (any Error).self) { try second.openSuccessor(sealed) }
    }

    @Test func refreshDecisions() {
        let now = Timestamp(microseconds: 1_000_000_000)
        func decide(rotated: Duration?, sealed: Bool = true, revoked: Bool = false, left: Duration = .seconds(60))
            -> RefreshDecision
        {
            RefreshDecision(
                RefreshTokenState(
                    sessionID: "s", userID: "u", roles: "", createdAt: now - .seconds(100),
                    rotatedAt: rotated.map { now - $0 }, sealedSuccessor: sealed ? [1] : nil,
                    sessionExpiresAt: now + left, sessionRevokedAt: revoked ? now : nil,
                    authentication: Authentication(methods: .password, at: now)),
                now: now, grace: .seconds(10))
        }
        #expect(decide(rotated: nil) == .rotate)
        #expect(decide(rotated: .zero) == .repeatSuccessor(sealed: [1]))
        #expect(decide(rotated: .seconds(10)) == .repeatSuccessor(sealed: [1]))
        #expect(decide(rotated: .seconds(10) + .microseconds(1)) == .endFamily)
        #expect(decide(rotated: .seconds(1), sealed: false) == .endFamily)
        #expect(decide(rotated: nil, revoked: true) == .ended)
        #expect(decide(rotated: .seconds(99), revoked: true) == .ended)
        #expect(decide(rotated: nil, left: .zero) == .ended)
    }

    @Test func aLeaseOutlivesItsAttempt() {
        #expect((1...6).map { Mailer.timeout(attempt: $0) } == [1, 2, 4, 8, 10, 10].map { Duration.seconds($0) })
        #expect((1...6).allSatisfy { NotificationRelay.lease(attempt: $0) > Mailer.timeout(attempt: $0) })
    }

    @Test func backoffDoublesAndIsBounded() {
        let pauses = (1...8).map { NotificationRelay.backoff(attempt: $0, random: 0.5) }
        #expect(pauses == [0.5, 1, 2, 4, 8, 15, 15, 15].map { Duration.seconds($0) })
        #expect(NotificationRelay.backoff(attempt: 1, random: 0) == .milliseconds(250))
        #expect(NotificationRelay.backoff(attempt: .max, random: 1) == .milliseconds(22_500))
    }
}
