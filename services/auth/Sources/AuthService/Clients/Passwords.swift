internal import ContractClients
internal import Contracts
internal import LibCrypto
internal import Logging
internal import RPCCore
internal import ServiceKit
internal import Synchronization

/// Password hashing and its rules, in Encryption's CPU pool.
final class Passwords: Sendable {
    private let client: PasswordServiceClient
    private let dummy = Mutex<Task<Redacted<String>, any Error>?>(nil)

    init(client: PasswordServiceClient) {
        self.client = client
    }

    /// A password that may be chosen, hashed.
    ///
    /// - Parameters:
    ///   - words: What must not make up the password.
    ///   - withSecondFactor: Its user shows a second factor besides, so it may be shorter (NIST SP 800-63B-4, 3.1.1.2).
    /// - Throws: `AuthError.weakPassword` naming `field`.
    func accepted(
        _ password: Redacted<String>, words: [String], field: String, withSecondFactor: Bool = false, _ options: CallOptions
    ) async throws -> NewPassword {
        let shortOf = try await requireAcceptable(
            password, words: words, field: field, withSecondFactor: withSecondFactor, options)
        return NewPassword(hash: try await hash(password, options), shortOf: shortOf)
    }

    /// - Returns: `NewPassword.shortOf`.
    private func requireAcceptable(
        _ password: Redacted<String>, words: [String], field: String, withSecondFactor: Bool, _ options: CallOptions
    ) async throws -> Int? {
        var request = EncryptionCheckStrengthRequest()
        request.password = password.exposed
        request.contextWords = Array(words.filter { !$0.isEmpty }.prefix(Self.wordLimit))
        request.multiFactor = withSecondFactor
        let answer = try await calling(.encryption) { () async throws(RPCError) in
            try await client.checkStrength(request, options)
        }
        guard answer.acceptable else {
            throw AuthError.weakPassword(field: field, reasons: answer.reasons.map(\.message))
        }
        guard withSecondFactor, !answer.acceptableAlone else { return nil }
        guard answer.minimumLengthAlone > 0 else {
            // An Encryption of the version before cannot tell, so the password is to be enough by itself, as it was then.
            return try await requireAcceptable(password, words: words, field: field, withSecondFactor: false, options)
        }
        return Int(answer.minimumLengthAlone)
    }

    func hash(_ password: Redacted<String>, _ options: CallOptions) async throws -> Redacted<String> {
        var request = EncryptionHashRequest()
        request.password = password.exposed
        return try await hashing { () async throws(RPCError) in Redacted(try await client.hash(request, options).passwordHash) }
    }

    /// Whether the password is the hash's. Without a hash, and for passwords that no hash can be of, the same work is
    /// done against a dummy hash of the same cost.
    func check(
        _ password: Redacted<String>, against hash: Redacted<String>?, _ options: CallOptions
    ) async throws -> Verdict {
        var request = EncryptionVerifyPasswordRequest()
        let canMatch = hash != nil && Self.isHashable(password.exposed)
        request.password = Self.isHashable(password.exposed) ? password.exposed : Self.filler
        request.passwordHash = try await target(hash, canMatch).exposed
        let answer = try await hashing { () async throws(RPCError) in try await client.verify(request, options) }
        return Verdict(matches: canMatch && answer.matches, needsRehash: canMatch && answer.needsRehash)
    }

    /// A call that takes a worker of the hashing pool for long: who is refused is told to come back after those who were let in.
    private func hashing<T>(_ call: () async throws(RPCError) -> T) async throws -> T {
        do {
            return try await calling(.encryption, call)
        } catch let refusal as DownstreamError where refusal.code == .resourceExhausted {
            let pause = Self.pausesOfRefused.randomElement() ?? .zero
            throw DownstreamError(service: refusal.service, error: Self.comingBackLater(refusal.error, after: pause))
        }
    }

    /// The pool takes on what can begin within 1.5 s. Who comes back before that finds as many waiting, and is one more to refuse; the
    /// pool itself says when it may have room for one more, and calls are tried again by then as long as few are refused.
    static func comingBackLater(_ refusal: RPCError, after pause: Duration) -> RPCError {
        var refusal = refusal
        refusal.retryAfter = max(refusal.retryAfter ?? .zero, pause)
        return refusal
    }

    private func target(_ hash: Redacted<String>?, _ canMatch: Bool) async throws -> Redacted<String> {
        if canMatch, let hash { return hash }
        return try await dummyHash()
    }

    struct Verdict: Sendable {
        let matches: Bool
        /// The hash was made with other parameters than today's.
        let needsRehash: Bool
    }

    /// The hash of a random password, made once: at start-up, or by the first who needs it.
    func dummyHash() async throws -> Redacted<String> {
        let task = dummy.withLock { dummy in
            if let dummy { return dummy }
            // Of no call: neither whoever asks first nor its deadline has a part in it.
            let task = HandlerScope.outside { Task { try await makeDummyHash() } }
            dummy = task
            return task
        }
        do {
            return try await task.value
        } catch {
            dummy.withLock { if $0 == task { $0 = nil } }
            throw error
        }
    }

    /// Makes the dummy hash at start-up, so that the first unknown address does not wait for it.
    func warmUp(clock: any AuthClock, logger: Logger) async {
        while !Task.isCancelled {
            do {
                return try await cancellableDummyHash()
            } catch is CancellationError {
                return
            } catch {
                logger.event(.warning, "encryption does not answer yet", .error(error))
                try? await clock.sleep(for: Self.warmUpPause)
            }
        }
    }

    /// Ends at once when the task is cancelled; the hash is shared and would go on without it.
    private func cancellableDummyHash() async throws {
        try await withTaskCancellationHandler {
            _ = try await dummyHash()
        } onCancel: {
            dummy.withLock { $0 }?.cancel()
        }
    }

    private func makeDummyHash() async throws -> Redacted<String> {
        try await hash(Redacted(Base64URL.encode(RandomBytes.generate(24))), CallOptions(timeout: Self.dummyTimeout))
    }

    /// bcrypt reads 72 bytes and stops at a NUL; Encryption refuses more, so there can be no hash of it.
    private static func isHashable(_ password: String) -> Bool {
        password.utf8.count <= 72 && !password.utf8.contains(0)
    }

    /// Whole seconds, as HTTP can say them, and not the same for all: those who were refused together do not come back together.
    static let pausesOfRefused: [Duration] = [.seconds(2), .seconds(3), .seconds(4)]
    private static let filler = "not a password of anybody"
    private static let wordLimit = 16
    private static let dummyTimeout: Duration = .seconds(5)
    private static let warmUpPause: Duration = .seconds(1)
}
