import Contracts
import Foundation
import LibCrypto
import RPCCore
import Synchronization

/// The names of the calls that reached the services below, in order.
final class CallLog: Sendable {
    private let names = Mutex<[String]>([])

    func add(_ name: String) { names.withLock { $0.append(name) } }

    /// What was called since the last time.
    func take() -> [String] {
        names.withLock { names in
            defer { names = [] }
            return names
        }
    }
}

/// Passwords without bcrypt's price: the hash is a digest, longer passwords are refused as the real service does.
final class FakePasswords: PasswordServiceHandler {
    struct Rules {
        var minimum = 8
        var minimumWithSecondFactor = 8
        /// The version before did not say whether a password is enough by itself.
        var isOfTheVersionBefore = false
        /// Of new hashes; others need a rehash.
        var rounds = 12
    }

    private let log: CallLog
    private let rules = Mutex(Rules())
    private let asked = Mutex("")

    /// The hash that a password was last compared with.
    var askedHash: String { asked.withLock { $0 } }

    init(log: CallLog) { self.log = log }

    func set(_ change: (inout Rules) -> Void) { rules.withLock { change(&$0) } }

    func hash(_ request: EncryptionHashRequest, _ context: CallContext) throws -> EncryptionHashResponse {
        log.add("hash")
        var response = EncryptionHashResponse()
        response.passwordHash = try prefix + digest(request.password)
        return response
    }

    func verify(
        _ request: EncryptionVerifyPasswordRequest, _ context: CallContext
    ) throws -> EncryptionVerifyPasswordResponse {
        log.add("verify")
        asked.withLock { $0 = request.passwordHash }
        var response = EncryptionVerifyPasswordResponse()
        response.matches = try request.passwordHash.hasSuffix("$" + digest(request.password))
        response.needsRehash = !request.passwordHash.hasPrefix(prefix)
        return response
    }

    func checkStrength(
        _ request: EncryptionCheckStrengthRequest, _ context: CallContext
    ) throws -> EncryptionCheckStrengthResponse {
        log.add("check")
        let rules = rules.withLock { $0 }
        let (count, minimum) = (request.password.count, request.multiFactor ? rules.minimumWithSecondFactor : rules.minimum)
        var response = EncryptionCheckStrengthResponse()
        response.acceptable = count >= minimum && !request.contextWords.contains(request.password)
        if !response.acceptable {
            var reason = EncryptionStrengthReason()
            reason.code = "too_short"
            reason.message = "At least \(minimum) characters."
            response.reasons = [reason]
        }
        guard !rules.isOfTheVersionBefore else { return response }
        response.acceptableAlone = response.acceptable && count >= rules.minimum
        response.minimumLengthAlone = UInt32(rules.minimum)
        return response
    }

    private var prefix: String { "$2b$\(rules.withLock { $0.rounds })$" }

    private func digest(_ password: String) throws -> String {
        guard password.utf8.count <= 72 else { throw RPCError(.invalidArgument, "More than 72 bytes.") }
        return try SHA256.hexHash(Array(password.utf8))
    }
}

/// Tokens that can be read without a key.
final class FakeTokens: JWTServiceHandler {
    private let log: CallLog
    private let isDown = Mutex(false)
    private let last = Mutex(EncryptionSignRequest())
    private let issued = Mutex<[String: EncryptionSignRequest]>([:])

    /// Those of the newest token.
    var roles: [String] { newest.roles }

    /// What the newest token was asked to say.
    var newest: EncryptionSignRequest { last.withLock { $0 } }

    init(log: CallLog) { self.log = log }

    func set(down: Bool) { isDown.withLock { $0 = down } }

    func sign(_ request: EncryptionSignRequest, _ context: CallContext) throws -> EncryptionSignResponse {
        log.add("sign")
        if isDown.withLock({ $0 }) { throw RPCError(.unavailable, "Down.") }
        last.withLock { $0 = request }
        var response = EncryptionSignResponse()
        response.token = "jwt \(request.subject) \(request.sessionID) \(request.lifetimeS) \(request.audience)"
        issued.withLock { [token = response.token] in $0[token] = request }
        return response
    }

    /// Times are the signature's business, which this does not have.
    func verify(_ request: EncryptionVerifyTokenRequest, _ context: CallContext) throws -> EncryptionVerifyTokenResponse
    {
        if isDown.withLock({ $0 }) { throw RPCError(.unavailable, "Down.") }
        guard let claims = issued.withLock({ $0[request.token] }) else {
            throw RPCError(.unauthenticated, "No token.", reason: "invalid_token")
        }
        var response = EncryptionVerifyTokenResponse()
        response.subject = claims.subject
        response.sessionID = claims.sessionID
        response.roles = claims.roles
        response.amr = claims.amr
        response.acr = claims.acr
        response.authTime = claims.authTime
        response.clientID = claims.clientID
        response.scope = claims.scope
        response.issuer = "https://lockstep.local"
        return response
    }

    func jwks(_ request: EncryptionJWKSRequest, _ context: CallContext) throws -> EncryptionJWKSResponse {
        throw RPCError(.unimplemented, "Not asked for by auth.")
    }
}

/// Mail that arrives in a list.
final class FakeEmail: EmailServiceHandler {
    private struct State {
        var messages: [EmailSendRequest] = []
        var isDown = false
        var losesAnswers = false
    }

    private let state = Mutex(State())

    func set(down: Bool) { state.withLock { $0.isDown = down } }

    /// Takes messages, then fails: as when the answer is lost on its way.
    func set(losingAnswers: Bool) { state.withLock { $0.losesAnswers = losingAnswers } }

    var messages: [EmailSendRequest] { state.withLock { $0.messages } }

    /// The messages since the last time.
    func take() -> [EmailSendRequest] {
        state.withLock { state in
            defer { state.messages = [] }
            return state.messages
        }
    }

    func send(_ request: EmailSendRequest, _ context: CallContext) async throws -> EmailSendResponse {
        try state.withLock { state in
            if state.isDown { throw RPCError(.unavailable, "Down.", processed: .no) }
            state.messages.append(request)
            if state.losesAnswers { throw RPCError(.unavailable, "Lost.", processed: .maybe) }
        }
        return EmailSendResponse()
    }

    func getMessage(_ request: EmailGetMessageRequest, _ context: CallContext) async throws -> EmailGetMessageResponse {
        throw RPCError(.unimplemented, "Not asked for by auth.")
    }
}

/// Encryption's AEAD under one key, in memory.
final class FakeCipher: RPCChannel {
    private struct State {
        var isDown = false
        var opened = 0
    }

    private let state = Mutex(State())
    private let key = [UInt8](repeating: 7, count: 32)

    func set(down: Bool) { state.withLock { $0.isDown = down } }

    /// How many secrets were asked for.
    var opened: Int { state.withLock { $0.opened } }

    func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
        if state.withLock({ $0.isDown }) { throw RPCError(.unavailable, "Down.", processed: .no) }
        do {
            let key = try SymmetricKey(bytes: key)
            switch method.name {
            case "Encrypt":
                let request = try EncryptionEncryptRequest(serializedBytes: request)
                var response = EncryptionEncryptResponse()
                response.ciphertext = Data(try AEAD.seal(Array(request.plaintext), key: key, aad: Array(request.context)))
                return try response.serializedBytes()
            case "Decrypt":
                state.withLock { $0.opened += 1 }
                let request = try EncryptionDecryptRequest(serializedBytes: request)
                var response = EncryptionDecryptResponse()
                response.plaintext = Data(try AEAD.open(Array(request.ciphertext), key: key, aad: Array(request.context)))
                return try response.serializedBytes()
            default:
                throw RPCError(.unimplemented, "Not asked for by auth.")
            }
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(.invalidArgument, "It does not open.", reason: "decryption_failed")
        }
    }
}
