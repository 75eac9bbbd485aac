import ContractClients
import Contracts
import RPCCore
import TestSupport
import Testing

@testable import AuthService

/// A passkey that is shown within a session, and what asks for one.
@Suite(.everyEngine) struct PasskeyStepUpTests: PasskeySteps {
    /// Each of what changes an account or takes its data away, the end of the account last.
    private func guarded(_ person: PasskeyPerson, _ fixture: Fixture) async throws -> [String?] {
        let client = try fixture.client(person.session, person.user.userID)
        let account = try fixture.account(person.session, person.user.userID)
        let address = AuthChangeAddressRequest.with { ($0.email, $0.currentPassword) = ("new@example.com", Fixture.password) }
        let password = AuthChangePasswordRequest.with {
            ($0.currentPassword, $0.newPassword) = (Fixture.password, Fixture.password)
        }
        return [
            await refusal { _ = try await account.exportUserData(.init(), CallOptions()) },
            await refusal { _ = try await account.changeAddress(address, CallOptions()) },
            await refusal { _ = try await client.changePassword(password, CallOptions()) },
            await refusal { _ = try await begin(person) },
            await refusal { _ = try await account.deleteUser(.with { $0.currentPassword = Fixture.password }, CallOptions()) },
        ]
    }

    private func refused(_ request: AuthStepUpWithPasskeyRequest, _ person: PasskeyPerson) async -> String? {
        await refusal { _ = try await person.passkeys.stepUpWithPasskey(request, CallOptions()) }
    }

    @Test("ASVS 7.5.1, NIST SP 800-63B-4 4.1.2: who has a passkey alone shows it, in the session, before what changes the account")
    func whoHasAPasskeyShowsIt() async throws {
        for device in [SoftAuthenticator.es256(), .edDSA()] {
            let fixture = try await Fixture()
            let ada = try await person(fixture)
            try await register(device, ada)
            fixture.clock.advance(by: .seconds(900))
            #expect(try await guarded(ada, fixture) == Array(repeating: "step_up_required", count: 5))
            await #expect {
                try await begin(ada)
            } throws: { error in
                (error as? RPCError)?.message
                    == "Show a second factor first: a passkey (POST /v1/sessions/current/passkey-challenges)."
            }
            let asked = try await ada.passkeys.beginPasskeyStepUp(.init(), CallOptions())
            #expect(asked.rpID == "localhost" && asked.timeoutMs == 300_000)
            #expect(asked.allowCredentials == [SoftAuthenticator.base64URL(device.credentialID)])
            let answer = try await ada.passkeys.stepUpWithPasskey(stepUp(device, asked.challenge), CallOptions())
            #expect(answer.expiresAt == (fixture.clock.now + .seconds(900)).message)
            let trail = try await rows("authn_step_up", fixture)
            #expect(trail.map(\.detail) == ["passkey"] && trail.map(\.sessionID) == [ada.session.sessionID])
            _ = try await fixture.refresh(ada.session.refreshToken)
            #expect(fixture.tokens.newest.amr == ["pwd", "pop", "user", "mfa"] && fixture.tokens.newest.acr.hasSuffix("aal2"))
            #expect(fixture.tokens.newest.authTime == fixture.clock.now.microseconds / 1_000_000)
            #expect(try await guarded(ada, fixture) == Array(repeating: nil, count: 5))
        }
    }

    @Test("ASVS 7.5.1: a passkey is shown for its session alone, and both ways are named to who has both")
    func aStepUpIsOfOneSession() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        try await register(device, ada)
        _ = try await Enrolment(fixture, ada.user, ada.session)
        fixture.clock.advance(by: .seconds(900))
        let session = try await signIn(device, ada, fixture)
        let other = PasskeyPerson(user: ada.user, session: session, passkeys: try fixture.passkeys(session, ada.user.userID))
        fixture.clock.advance(by: .seconds(900))
        _ = try await ada.passkeys.stepUpWithPasskey(stepUp(device, try await stepUpChallenge(ada)), CallOptions())
        await #expect {
            try await begin(other)
        } throws: { error in
            (error as? RPCError)?.message
                == "Show a second factor first: a code of your app or a recovery code (POST /v1/sessions/current/second-factors), "
                + "or a passkey (POST /v1/sessions/current/passkey-challenges)."
        }
        _ = try await begin(ada)
    }

    @Test("WebAuthn 3 7.2, 13.4.3: another's passkey, challenge, origin or count steps nobody up")
    func whatIsWrongIsRefused() async throws {
        let fixture = try await Fixture()
        let (ada, eve) = (try await person(fixture), try await person(fixture, "eve@example.com"))
        let (good, hers) = (SoftAuthenticator.es256(), SoftAuthenticator.edDSA())
        #expect(await refusal { _ = try await stepUpChallenge(ada) } == "passkey_not_found")
        try await register(good, ada)
        try await register(hers, eve)
        fixture.clock.advance(by: .seconds(900))
        var foreign = good
        foreign.origin = "https://localhost.evil.example"
        var unverified = good
        unverified.flags = 0x01
        for device in [hers, foreign, unverified] {
            #expect(await refused(try stepUp(device, try await stepUpChallenge(ada)), ada) == "invalid_passkey")
        }
        #expect(await refused(try stepUp(good, try await stepUpChallenge(eve)), ada) == "invalid_passkey", "of another session")
        #expect(await refused(try stepUp(good, try await challenge(fixture)), ada) == "invalid_passkey", "of a sign-in")
        let challenge = try await stepUpChallenge(ada)
        #expect(await isRefused(try assertion(good, challenge, user: ada.user.userID), fixture), "nor does it sign in")
        var created = try stepUp(good, challenge)
        created.clientDataJson = SoftAuthenticator.base64URL(good.clientData("webauthn.create", challenge: challenge))
        #expect(await refused(created, ada) == "invalid_passkey")
        // It took no password to get one, so it binds no other device either, whatever type the client names.
        _ = try await ada.passkeys.stepUpWithPasskey(stepUp(good, try await stepUpChallenge(ada)), CallOptions())
        let bound = creation(.edDSA(), try await stepUpChallenge(ada))
        #expect(await refusal { _ = try await ada.passkeys.createPasskey(bound, CallOptions()) } == "passkey_refused")
        fixture.clock.advance(by: .seconds(900))
        let late = try stepUp(good, try await stepUpChallenge(ada))
        fixture.clock.advance(by: AuthPolicy.passkeyChallengeLifetime)
        #expect(await refused(late, ada) == "invalid_passkey")
        #expect(await refusal { _ = try await begin(ada) } == "step_up_required")
        let trail = try await rows("authn_passkey_fail", fixture).map(\.detail).filter { $0.hasPrefix("step-up ") }
        #expect(trail.count == 7, "\(trail)")
        let once = try stepUp(good, try await stepUpChallenge(ada))
        #expect(await refused(once, ada) == nil)
        #expect(await refused(once, ada) == "invalid_passkey", "once")
    }

    @Test("WebAuthn 3 6.1.1: a counter that goes back steps nobody up, and its owner is told")
    func aCopyIsRefused() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        var device = SoftAuthenticator.edDSA()
        device.count = 5
        try await register(device, ada)
        device.count = 6
        #expect(await refused(try stepUp(device, try await stepUpChallenge(ada)), ada) == nil)
        _ = try await fixture.mails()
        #expect(await refused(try stepUp(device, try await stepUpChallenge(ada)), ada) == "invalid_passkey")
        #expect(try await fixture.mails().map(\.template) == [.passkeyCopied])
        // Both were looked at before either was used.
        let store = fixture.handler.store
        let seen = try #require(try await store.passkey(credential: device.credentialID))
        let origin = Origin(address: "192.0.2.1", userAgent: "agent", requestID: "r")
        let proof = PasskeyProof(passkey: seen, signCount: 7)
        _ = try await store.stepUp(ada.session.sessionID, with: proof, origin)
        await #expect(throws: AuthError.invalidPasskey) {
            _ = try await store.stepUp(ada.session.sessionID, with: proof, origin)
        }
    }
}
