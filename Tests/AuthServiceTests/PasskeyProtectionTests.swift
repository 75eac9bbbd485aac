import ContractClients
import Contracts
import LibCrypto
import RPCCore
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

/// What protects an account whose owner has passkeys: resets, binding, ceremonies that were refused, and what its owner is told.
@Suite(.everyEngine) struct PasskeyProtectionTests: PasskeySteps {
    private let origin = Origin(address: "192.0.2.1", userAgent: "agent", requestID: "r")

    private func changePassword(_ person: PasskeyPerson, _ fixture: Fixture) async throws {
        let request = AuthChangePasswordRequest.with {
            $0.currentPassword = Fixture.password
            $0.newPassword = "another long password"
        }
        _ = try await fixture.client(person.session, person.user.userID).changePassword(request, CallOptions())
    }

    @Test("ASVS 6.4.4: what an admin resets are passkeys, too, also of who has nothing else")
    func anAdminResetsPasskeys() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        try await register(device, ada)
        let session = try await signIn(device, ada, fixture)
        _ = try await fixture.mails()
        let request = AuthResetFactorsRequest.with { $0.userID = ada.user.userID }
        let operators = try fixture.operatorClient()
        #expect(try await operators.searchUsers(.with { $0.query = "ada" }, CallOptions()).users.map(\.passkeys) == [1])
        let account = try await operators.resetFactors(request, CallOptions())
        #expect(account.passkeys == 0 && !account.secondFactor)
        #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(try await !fixture.isLive(ada.session.sessionID))
        #expect(try await fixture.mails().map(\.template) == [.secondFactorChanged])
        _ = try await operators.resetFactors(request, CallOptions())
        #expect(try await rows("authn_factors_reset", fixture).map(\.actor) == ["operator"], "once, since nothing was left")
        #expect(try await fixture.mails().isEmpty)
    }

    @Test("ASVS 6.4.3: a reset by mail removes passkeys where that is asked for, and ends every session")
    func aResetByMailRemovesPasskeysWhenAsked() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        try await register(device, ada)
        try await fixture.requestReset("ada@example.com")
        try await fixture.reset(try await fixture.mailedToken(.passwordReset), to: "another long password")
        #expect(try await !fixture.isLive(ada.session.sessionID))
        let session = try await signIn(device, ada, fixture)
        fixture.clock.advance(by: .seconds(1))
        try await fixture.requestReset("ada@example.com", from: "192.0.2.1")
        let request = AuthResetPasswordRequest.with {
            $0.newPassword = "a third long password"
            $0.removePasskeys = true
        }
        let token = try await fixture.mailedToken(.passwordReset)
        _ = try await fixture.client().resetPassword(request.with(token), CallOptions())
        #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(try await fixture.mails().map(\.template).contains(.secondFactorChanged))
        #expect(try await rows("authn_passkey_removed", fixture).count == 1)
    }

    @Test("NIST SP 800-63B-4 4.1.2: who has a passkey shows it for whatever adds or removes a way to sign in")
    func bindingNeedsThePasskey() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let factors = try fixture.factors(ada.session, ada.user.userID)
        let create = AuthCreateFactorRequest.with {
            $0.currentPassword = Fixture.password
            $0.name = "phone"
        }
        let waiting = try await factors.createFactor(create, CallOptions())
        let device = SoftAuthenticator.es256()
        let passkey = try await register(device, ada)
        // It was shown by being made, for a while: a backup may follow. After that the password alone binds nothing.
        let backup = try await register(.edDSA(), ada, name: "backup")
        _ = try await ada.passkeys.deletePasskey(.with { $0.passkeyID = backup.passkeyID }, CallOptions())
        fixture.clock.advance(by: .seconds(900))
        #expect(await refusal { _ = try await begin(ada) } == "step_up_required")
        #expect(await refusal { _ = try await factors.createFactor(create, CallOptions()) } == "step_up_required")
        let confirm = AuthConfirmFactorRequest.with {
            $0.factorID = waiting.factorID
            $0.code = "123456"
        }
        #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "step_up_required")
        let delete = AuthDeletePasskeyRequest.with { $0.passkeyID = passkey.passkeyID }
        #expect(await refusal { _ = try await ada.passkeys.deletePasskey(delete, CallOptions()) } == "step_up_required")
        let shown = try await again(device, ada, fixture)
        try await register(.edDSA(), shown, name: "phone")
        _ = try await fixture.factors(shown.session, ada.user.userID).createFactor(create, CallOptions())
        fixture.clock.advance(by: .seconds(900))
        #expect(await refusal { _ = try await shown.passkeys.deletePasskey(delete, CallOptions()) } == "step_up_required")
        let fresh = try await again(device, ada, fixture)
        _ = try await fresh.passkeys.deletePasskey(delete, CallOptions())
    }

    @Test("NIST SP 800-63B-4 4.1.2: an admin with a passkey changes nobody's account with the password alone, nor the own one")
    func adminsWithAPasskeyShowIt() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let eve = try await fixture.member("eve@example.com")
        let device = SoftAuthenticator.es256()
        try await register(device, ada)
        let session = try await fixture.signIn()
        let admin = try fixture.admin(ada.user.userID, session)
        for id in [ada.user.userID, eve.userID] {
            let reset = AuthResetFactorsRequest.with { $0.userID = id }
            #expect(await refusal { _ = try await admin.resetFactors(reset, CallOptions()) } == "step_up_required")
        }
        // Nor does the password make the session look fresh.
        let confirm = AuthConfirmPasswordRequest.with { $0.currentPassword = Fixture.password }
        let account = try fixture.account(session, ada.user.userID)
        #expect(await refusal { _ = try await account.confirmPassword(confirm, CallOptions()) } == "step_up_required")
        let shown = try await again(device, ada, fixture)
        let disable = AuthDisableUserRequest.with { $0.userID = eve.userID }
        _ = try await fixture.admin(ada.user.userID, shown.session).disableUser(disable, CallOptions())
    }

    @Test("ASVS 7.4.3: a registration that was begun ends with the password, session or factor that allowed it")
    func aRegistrationEndsWithWhatAllowedIt() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        let stolen = creation(device, try await begin(ada).challenge)
        let other = try await fixture.signIn()
        try await changePassword(
            PasskeyPerson(user: ada.user, session: other, passkeys: ada.passkeys), fixture)
        #expect(await refusal { _ = try await ada.passkeys.createPasskey(stolen, CallOptions()) } == "passkey_refused")

        let eve = try await person(fixture, "eve@example.com")
        let begun = creation(device, try await begin(eve).challenge)
        let store = fixture.handler.store
        _ = try await store.disable(eve.user.userID, by: .operator, origin)
        _ = try await store.enable(eve.user.userID, by: .operator, origin)
        #expect(await refusal { _ = try await eve.passkeys.createPasskey(begun, CallOptions()) } == "passkey_refused")
        // What the transaction itself looks at.
        let late = StoredPasskey(
            id: "psk_late", userID: eve.user.userID, credentialID: device.credentialID, publicKey: device.publicKey, signCount: 0,
            isSynced: false, name: "late", createdAt: fixture.clock.now, lastUsedAt: nil)
        await #expect(throws: AuthError.sessionEnded) { try await store.add(late, session: eve.session.sessionID, origin) }
        #expect(try await store.passkeys(of: eve.user.userID).isEmpty)
    }

    @Test("NIST SP 800-63B-4 4.1.2: what is registered is bound while the factor is still fresh")
    func registeringNeedsTheStepUp() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        try await register(device, ada)
        let shown = try await again(device, ada, fixture)
        fixture.clock.advance(by: .seconds(800))
        let created = creation(.edDSA(), try await begin(shown).challenge)
        fixture.clock.advance(by: .seconds(200))
        #expect(await refusal { _ = try await shown.passkeys.createPasskey(created, CallOptions()) } == "step_up_required")
    }

    @Test("ASVS 16.3.1: refused ceremonies are audited")
    func refusedCeremoniesAreAudited() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        var foreign = device
        foreign.origin = "https://localhost.evil.example"
        let refused = creation(foreign, try await begin(ada).challenge)
        #expect(await refusal { _ = try await ada.passkeys.createPasskey(refused, CallOptions()) } == "passkey_refused")
        var trail = try await rows("authn_passkey_fail", fixture)
        try #require(trail.map(\.detail) == ["registration origin"])
        #expect(!trail[0].subject.isEmpty && trail[0].sessionID == ada.session.sessionID)
        try await register(device, ada)
        #expect(await isRefused(try assertion(foreign, try await challenge(fixture), user: ada.user.userID), fixture))
        let once = try assertion(device, try await challenge(fixture), user: ada.user.userID)
        _ = try await fixture.passkeys().createPasskeySession(once, CallOptions())
        #expect(await isRefused(once, fixture))
        let unknown = try assertion(.es256(), try await challenge(fixture), user: ada.user.userID)
        #expect(await isRefused(unknown, fixture))
        trail = try await rows("authn_passkey_fail", fixture)
        #expect(Set(trail.map(\.detail)) == ["registration origin", "origin", "challenge", "unknown"])
        #expect(trail.first { $0.detail == "unknown" }?.subject == "")
        #expect(trail.filter { $0.detail != "unknown" }.allSatisfy { !$0.subject.isEmpty })
        _ = try await fixture.handler.store.disable(ada.user.userID, by: .operator, origin)
        #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        #expect(try await rows("authn_login_disabled", fixture).count == 1)
    }

    @Test("WebAuthn 3 6.1.1, ASVS 6.3.5: the owner is told of a counter that went back, also where two came at once")
    func aCopyIsToldToItsOwner() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        var device = SoftAuthenticator.edDSA()
        device.count = 5
        try await register(device, ada)
        _ = try await fixture.mails()
        device.count = 5
        #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        var mails = try await fixture.mails()
        #expect(mails.map(\.template) == [.passkeyCopied] && mails.map(\.to) == ["ada@example.com"])
        // Both were looked at before either was used.
        let store = fixture.handler.store
        let seen = try #require(try await store.passkey(credential: device.credentialID))
        func session(_ id: String) throws -> NewSession {
            NewSession(
                id: id, refreshToken: try OpaqueToken(.refresh), userID: ada.user.userID, roles: "user",
                proof: .passkey(PasskeyProof(passkey: seen, signCount: 6)), authenticatedAt: fixture.clock.now)
        }
        try await store.startSession(session("ses_first"), origin)
        await #expect(throws: AuthError.invalidPasskey) { try await store.startSession(session("ses_second"), origin) }
        #expect(try await rows("authn_passkey_counter", fixture).count == 2)
        mails = try await fixture.mails()
        #expect(mails.filter { $0.template == .passkeyCopied }.count == 1)
        #expect(try await !fixture.isLive("ses_second"))
        // Whoever has the copy does not flood the owner.
        for _ in 0..<20 {
            #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        }
        #expect(try await fixture.mails().count == fixture.handler.policy.mailsPerHour - 2)
        #expect(try await rows("authn_passkey_counter", fixture).count == 22)
    }

    @Test("ASVS 7.4.3: a new passkey and new recovery codes end other sessions, as the mail says")
    func whatIsAddedEndsOtherSessions() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let other = try await fixture.signIn()
        try await register(.es256(), ada)
        #expect(try await fixture.isLive(ada.session.sessionID))
        #expect(try await !fixture.isLive(other.sessionID))
        let enrolment = try await Enrolment(fixture, "eve@example.com")
        let second = try await enrolment.signIn(enrolment.recoveryCodes[0])
        _ = try await enrolment.factors.createRecoveryCodes(.init(), CallOptions())
        #expect(try await fixture.isLive(enrolment.session.sessionID))
        #expect(try await !fixture.isLive(second.sessionID))
    }

    @Test("WebAuthn 3 8.2: attestation by the passkey's own key is taken when its signature is right")
    func selfAttestation() async throws {
        for device in [SoftAuthenticator.es256(), .edDSA()] {
            let fixture = try await Fixture()
            let ada = try await person(fixture)
            func request(
                _ change: (inout SoftAuthenticator) -> Void = { _ in }, over: [UInt8]? = nil, algorithm: Int? = nil, x5c: Bool = false
            ) async throws -> AuthCreatePasskeyRequest {
                var device = device
                change(&device)
                let clientData = device.clientData("webauthn.create", challenge: try await begin(ada).challenge)
                let object = try device.selfAttestation(over ?? clientData, algorithm: algorithm, x5c: x5c)
                return .with {
                    $0.name = "laptop"
                    $0.clientDataJson = SoftAuthenticator.base64URL(clientData)
                    $0.attestationObject = SoftAuthenticator.base64URL(object)
                }
            }
            // Each is begun and sent in turn: the next one's challenge ends the one before.
            let bad: [(String, () async throws -> AuthCreatePasskeyRequest)] = [
                ("registration attestation", { try await request(over: [1, 2, 3]) }),
                ("registration attestation", { try await request(algorithm: -9) }),
                ("registration attestation", { try await request(x5c: true) }),
                ("registration relying_party", { try await request({ $0.domain = "example.com" }) }),
            ]
            for (index, (detail, make)) in bad.enumerated() {
                let request = try await make()
                let reason = await refusal { _ = try await ada.passkeys.createPasskey(request, CallOptions()) }
                #expect(reason == "passkey_refused", "\(index)")
                let search = AuthSearchAuditEventsRequest.with { $0.event = "authn_passkey_fail" }
                let rows = try await fixture.operatorClient().searchAuditEvents(search, CallOptions()).events
                #expect(rows.count == index + 1 && rows.contains { $0.detail == detail }, "\(index): \(rows.map(\.detail))")
            }
            for other in [-7, -8] {
                let isOwn: Bool
                if case .es256 = device.key { isOwn = other == -7 } else { isOwn = other == -8 }
                guard !isOwn else { continue }
                let request = try await request(algorithm: other)
                #expect(await refusal { _ = try await ada.passkeys.createPasskey(request, CallOptions()) } == "passkey_refused")
            }
            _ = try await ada.passkeys.createPasskey(try await request(), CallOptions())
            _ = try await signIn(device, ada, fixture)
        }
    }

    @Test("GDPR 15: what identifies a user's devices is in the export")
    func theExportNamesWhatIdentifies() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        let made = try await register(device, ada)
        #expect(made.credentialID == SoftAuthenticator.base64URL(device.credentialID))
        let export = try await fixture.account(ada.session, ada.user.userID).exportUserData(.init(), CallOptions())
        #expect(export.passkeys.map(\.credentialID) == [made.credentialID])
        #expect(export.knownAgents.map(\.digest) == [try SHA256.hexHash(Array("agent".utf8))])
        #expect(export.knownAgents.map(\.signIns) == [1] && export.knownAgents.allSatisfy(\.hasLastSeenAt))
    }
}

extension AuthResetPasswordRequest {
    fileprivate func with(_ token: String) -> AuthResetPasswordRequest {
        var request = self
        request.token = token
        return request
    }
}

/// Where pages may stand that ask for passkeys.
@Suite struct PasskeyOriginTests {
    private func policy(_ origins: String, domain: String = "example.com") throws -> AuthPolicy {
        let environment = ["LOCKSTEP_AUTH_PASSKEY_ORIGINS": origins, "LOCKSTEP_AUTH_PASSKEY_DOMAIN": domain]
        return try AuthPolicy(try Configuration.load(AuthConfig.table, environment: environment, file: nil))
    }

    @Test("WebAuthn 3 5.1.3, HTML 7.1.1: origins as browsers write them, of the domain or below it", arguments: [
        ("https://example.com", "example.com", true), ("https://login.example.com", "example.com", true),
        ("https://login.example.com:8443", "example.com", true),
        ("https://example.com,https://a.example.com", "example.com", true),
        ("http://localhost", "localhost", true), ("http://localhost:3000", "localhost", true),
        ("https://localhost:8443", "localhost", true), ("https://127.0.0.1:8443", "127.0.0.1", false),
        ("https://example.com/", "example.com", false), ("https://example.com/login", "example.com", false),
        ("https://example.com?a", "example.com", false), ("https://example.com#a", "example.com", false),
        ("https://ada@example.com", "example.com", false), ("https://EXAMPLE.com", "example.com", false),
        ("https://example.com:443", "example.com", false), ("https://example.com:", "example.com", false),
        ("https://example.com:0", "example.com", false), ("https://example.com:65536", "example.com", false),
        ("https://example.com:08443", "example.com", false), ("http://localhost:80", "localhost", false),
        ("http://example.com", "example.com", false), ("http://localhost.evil.example", "evil.example", false),
        ("http://localhostevil.example", "evil.example", false), ("http://app.localhost", "localhost", false),
        ("https://evilexample.com", "example.com", false), ("https://example.com.evil.example", "example.com", false),
        ("https://example.com", "login.example.com", false), ("https://example.com,https://evil.example", "example.com", false),
        ("https://", "example.com", false), ("example.com", "example.com", false), ("ftp://example.com", "example.com", false),
        ("https://example..com", "example.com", false), ("https://.example.com", "example.com", false),
        ("https://example.com", "", false), ("https://example.com", "https://example.com", false),
        ("https://example.com", "Example.com", false), ("https://example.com", "com", false),
    ])
    func origins(origins: String, domain: String, isGood: Bool) throws {
        if isGood {
            let party = try policy(origins, domain: domain).relyingParty
            #expect(party.id == domain && party.origins.joined(separator: ",") == origins)
        } else {
            // One that is wrong by itself, or with the domain: what a start ends with in one line, either way.
            #expect {
                try policy(origins, domain: domain)
            } throws: { error in
                error is ConfigurationError || error is ConfigProblem
            }
        }
    }

    @Test func theErrorNamesTheKey() throws {
        #expect {
            try policy("https://example.com", domain: "other.example")
        } throws: { error in
            let text = "\(error)"
            return text.contains("auth.passkey_origins") && text.contains("other.example") && text.contains("https://example.com")
        }
    }
}
