import ContractClients
import Contracts
import RPCCore
import TestSupport
import Testing

@testable import AuthService

/// A user who is signed in with a password.
struct PasskeyPerson: Sendable {
    let user: AuthUser
    let session: AuthSessionTokens
    let passkeys: PasskeyServiceClient
}

/// What tests of passkeys do again and again, with an authenticator in software.
protocol PasskeySteps {}

extension PasskeySteps {
    func person(_ fixture: Fixture, _ email: String = "ada@example.com") async throws -> PasskeyPerson {
        let user = try await fixture.member(email)
        let session = try await fixture.signIn(email)
        return PasskeyPerson(user: user, session: session, passkeys: try fixture.passkeys(session, user.userID))
    }

    func begin(_ person: PasskeyPerson) async throws -> AuthPasskeyCreation {
        try await person.passkeys.beginPasskey(.with { $0.currentPassword = Fixture.password }, CallOptions())
    }

    func creation(_ device: SoftAuthenticator, _ challenge: String, name: String = "laptop") -> AuthCreatePasskeyRequest {
        .with {
            $0.name = name
            $0.clientDataJson = SoftAuthenticator.base64URL(device.clientData("webauthn.create", challenge: challenge))
            $0.attestationObject = SoftAuthenticator.base64URL(device.attestationObject())
        }
    }

    @discardableResult
    func register(_ device: SoftAuthenticator, _ person: PasskeyPerson, name: String = "laptop") async throws -> AuthPasskey {
        let challenge = try await begin(person).challenge
        return try await person.passkeys.createPasskey(creation(device, challenge, name: name), CallOptions())
    }

    func assertion(_ device: SoftAuthenticator, _ challenge: String, user: String) throws -> AuthCreatePasskeySessionRequest {
        let clientData = device.clientData("webauthn.get", challenge: challenge)
        let data = device.authenticatorData()
        let signature = try device.signature(data, clientData)
        return .with {
            $0.credentialID = SoftAuthenticator.base64URL(device.credentialID)
            $0.clientDataJson = SoftAuthenticator.base64URL(clientData)
            $0.authenticatorData = SoftAuthenticator.base64URL(data)
            $0.signature = SoftAuthenticator.base64URL(signature)
            $0.userHandle = SoftAuthenticator.base64URL(Array(user.utf8))
        }
    }

    /// What a device makes to step up in a session.
    func stepUp(_ device: SoftAuthenticator, _ challenge: String) throws -> AuthStepUpWithPasskeyRequest {
        let signIn = try assertion(device, challenge, user: "")
        return .with {
            $0.credentialID = signIn.credentialID
            $0.clientDataJson = signIn.clientDataJson
            $0.authenticatorData = signIn.authenticatorData
            $0.signature = signIn.signature
        }
    }

    func stepUpChallenge(_ person: PasskeyPerson) async throws -> String {
        try await person.passkeys.beginPasskeyStepUp(.init(), CallOptions()).challenge
    }

    func challenge(_ fixture: Fixture) async throws -> String {
        try await fixture.passkeys().beginPasskeySession(.init(), CallOptions()).challenge
    }

    func signIn(_ device: SoftAuthenticator, _ person: PasskeyPerson, _ fixture: Fixture) async throws -> AuthSessionTokens {
        let request = try assertion(device, try await challenge(fixture), user: person.user.userID)
        return try await fixture.passkeys().createPasskeySession(request, CallOptions())
    }

    /// The same user in a session that their passkey began.
    func again(_ device: SoftAuthenticator, _ person: PasskeyPerson, _ fixture: Fixture) async throws -> PasskeyPerson {
        let session = try await signIn(device, person, fixture)
        return PasskeyPerson(
            user: person.user, session: session, passkeys: try fixture.passkeys(session, person.user.userID))
    }

    func isRefused(_ request: AuthCreatePasskeySessionRequest, _ fixture: Fixture) async -> Bool {
        await refusal { _ = try await fixture.passkeys().createPasskeySession(request, CallOptions()) } == "invalid_passkey"
    }

    /// The rows of the audit trail with this word, newest first.
    func rows(_ event: String, _ fixture: Fixture) async throws -> [AuthAuditEvent] {
        try await fixture.operatorClient().searchAuditEvents(.with { $0.event = event }, CallOptions()).events
    }
}
