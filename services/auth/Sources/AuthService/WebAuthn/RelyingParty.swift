private import Foundation
internal import LibCrypto
internal import ServiceKit

/// Who asks for passkeys, and the checks of what comes back (WebAuthn Level 3, sections 7.1 and 7.2).
struct RelyingParty: Sendable {
    /// A domain; passkeys are bound to it.
    let id: String
    let name: String
    /// Where pages that ask may stand, as browsers write them.
    let origins: [String]

    /// Why a ceremony failed; for the audit trail, not for clients.
    enum Failure: String, Error {
        case malformed
        case type
        case origin
        case relyingParty = "relying_party"
        case notVerified = "user_verification"
        case attestation
        case key
        case signature
        case backup
        /// Not one that was given out for this, or used, or too old.
        case challenge
        /// Nobody's passkey, or another user's.
        case unknown
        /// It is registered already.
        case taken
    }

    enum Ceremony: String {
        case create = "webauthn.create"
        case get = "webauthn.get"
    }

    /// The challenge that the client's data answers, once type and origin are right.
    func challenge(_ clientData: [UInt8], _ ceremony: Ceremony) throws(Failure) -> [UInt8] {
        guard clientData.count <= Self.longestClientData, String(validating: clientData, as: UTF8.self) != nil,
            let data = try? JSONDecoder().decode(ClientData.self, from: Data(clientData)),
            let challenge = Base64URL.decode(data.challenge), challenge.count == Self.challengeLength
        else { throw .malformed }
        guard data.type == ceremony.rawValue else { throw .type }
        guard origins.contains(data.origin), data.crossOrigin != true, data.topOrigin == nil else { throw .origin }
        return challenge
    }

    /// What was made, with attestation "none" (section 8.7), or "packed" by the passkey's own key (section 8.2), which some
    /// send whatever was asked for.
    func register(attestation bytes: [UInt8], clientData: [UInt8]) throws(Failure) -> AuthenticatorData {
        guard let object = try? CBOR.decode(bytes), case .map(let members) = object, members.count == 3,
            let raw = object["authData"]?.asBytes, let data = AuthenticatorData(raw), let credential = data.credential
        else { throw .malformed }
        try check(data)
        guard let cose = try? CBOR.decode(credential.publicKey), let key = CredentialKey(cose: cose) else { throw .key }
        switch object["fmt"] {
        case .text("none"): guard object["attStmt"] == .map([:]) else { throw .attestation }
        case .text("packed"):
            guard let statement = object["attStmt"], Self.isSelfAttestation(statement, of: key, over: raw, clientData) else {
                throw .attestation
            }
        default: throw .attestation
        }
        return data
    }

    /// Without `x5c`: certificates would say who made the device, which nobody here asks.
    private static func isSelfAttestation(
        _ statement: CBOR, of key: CredentialKey, over authenticatorData: [UInt8], _ clientData: [UInt8]
    ) -> Bool {
        guard case .map(let members) = statement, members.count == 2, statement["alg"] == .int(key.algorithm),
            let signature = statement["sig"]?.asBytes, let digest = try? SHA256.hash(clientData)
        else { return false }
        return key.isValid(signature, for: authenticatorData + digest)
    }

    /// That the holder of `passkey` has signed.
    func verify(
        _ passkey: StoredPasskey, authenticatorData raw: [UInt8], clientData: [UInt8], signature: [UInt8]
    ) throws(Failure) -> AuthenticatorData {
        guard let data = AuthenticatorData(raw), data.credential == nil else { throw .malformed }
        try check(data)
        guard data.isBackupEligible == passkey.isSynced else { throw .backup }
        guard let cose = try? CBOR.decode(passkey.publicKey), let key = CredentialKey(cose: cose),
            let digest = try? SHA256.hash(clientData)
        else { throw .key }
        guard key.isValid(signature, for: raw + digest) else { throw .signature }
        return data
    }

    private func check(_ data: AuthenticatorData) throws(Failure) {
        guard let hash = try? SHA256.hash(Array(id.utf8)), data.rpIDHash == hash else { throw .relyingParty }
        guard data.isUserPresent, data.isUserVerified else { throw .notVerified }
    }

    /// Bytes.
    static let challengeLength = 32
    private static let longestClientData = 6144

    private struct ClientData: Decodable {
        let type: String
        let challenge: String
        let origin: String
        let crossOrigin: Bool?
        let topOrigin: String?
    }
}

/// A registered passkey.
struct StoredPasskey: Sendable, Hashable {
    let id: String
    let userID: String
    let credentialID: [UInt8]
    let publicKey: [UInt8]
    let signCount: Int64
    let isSynced: Bool
    let name: String
    let createdAt: Timestamp
    let lastUsedAt: Timestamp?

    /// Whether a count may follow the stored one (section 6.1.1): of an authenticator that counts, it only grows.
    func allows(_ count: Int64) -> Bool { count > signCount || (count == 0 && signCount == 0) }
}

/// A passkey whose signature was right. The transaction that follows looks again.
struct PasskeyProof: Sendable {
    let passkey: StoredPasskey
    let signCount: Int64

    /// RFC 8176: a key was shown. Where it is kept nobody attests, so neither `hwk` nor `swk`; the user was verified, so two
    /// factors were shown.
    var methods: AuthenticationMethods { AuthenticationMethods(["pop", "user", "mfa"]) }
}
