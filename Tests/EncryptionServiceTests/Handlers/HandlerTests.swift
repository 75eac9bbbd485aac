import ContractClients
import Contracts
import Foundation
import JOSE
import LibCrypto
import RPCCore
import RPCInProcess
import ServiceKit
import SwiftProtobuf
import TestSupport
import Testing

@testable import EncryptionService

/// The service behind the call layer, as each caller meets it.
struct Service {
    let parts: Parts
    let composition: Composition
    let events = Events()

    init(
        keys: [KeySpecification] = Parts.wanted, policy: String = KeyPolicy.standardText,
        change: (inout EncryptionSettings) throws -> Void = { _ in }
    ) throws {
        parts = try Parts()
        var settings = EncryptionSettings(
            location: parts.location, keys: keys, mayCreate: true, policy: try KeyPolicy(json: policy), rounds: 10, minimumPassword: 15,
            issuer: "https://lockstep.local", skew: 5, publishLead: 300)
        try change(&settings)
        composition = try Composition.make(settings, clock: parts.clock.read, report: events.report)
    }

    func keys(as caller: String) throws -> EncryptionServiceClient { EncryptionServiceClient(try channel(caller)) }
    func administration(as caller: String = "operator") throws -> KeyServiceClient { KeyServiceClient(try channel(caller)) }
    func passwords(as caller: String) throws -> PasswordServiceClient { PasswordServiceClient(try channel(caller)) }
    func tokens(as caller: String) throws -> JWTServiceClient { JWTServiceClient(try channel(caller)) }

    private func channel(_ caller: String) throws -> InProcessChannel {
        try InProcessChannel(sync: composition.handlers, peer: caller)
    }
}

/// The error of a call; nil when it answers.
func failure(_ call: () async throws -> some Sendable) async -> RPCError? {
    do {
        _ = try await call()
        return nil
    } catch {
        return error as? RPCError
    }
}

@Suite struct EncryptionHandlerTests {
    private func encrypt(_ context: String = "con_1", key: String = "token-vault") -> EncryptionEncryptRequest {
        .with {
            $0.keyName = key
            $0.plaintext = Data("provider token".utf8)
            $0.context = Data(context.utf8)
        }
    }

    private func decrypt(_ ciphertext: Data, _ context: String = "con_1") -> EncryptionDecryptRequest {
        .with {
            $0.keyName = "token-vault"
            $0.ciphertext = ciphertext
            $0.context = Data(context.utf8)
        }
    }

    /// A version that waits for another process has no time yet: the answer can be written as JSON.
    @Test func aVersionThatIsAwaited() async throws {
        let shared = try await SharedParts()
        let service = try Service { settings in
            settings.location.database = Redacted(shared.url)
            settings.sharing = SharedParts.sharing
        }
        defer { service.composition.keeper.stop() }
        let database = try SQLKeyringStore.database(shared.url)
        try database.write { transaction in
            _ = try transaction.execute("INSERT INTO keyring_replicas (id, label, beat, revision) VALUES ('slow', 'slow/1', 1, 1)")
        }
        _ = try await service.keys(as: "operator").rotateKey(.with { $0.keyName = "token-vault" })
        try await until { service.composition.keeper.keyring["token-vault"]?.isAwaited == true }
        let key = try await service.keys(as: "operator").describeKey(.with { $0.keyName = "token-vault" })
        #expect(key.primaryVersion == 1 && key.pendingVersion == 2)
        #expect(key.versions.map(\.hasActiveAt) == [true, false])
        #expect(throws: Never.self) { try key.jsonString() }
    }

    @Test func roundTrip() async throws {
        let client = try Service().keys(as: "token")
        let sealed = try await client.encrypt(encrypt())
        #expect(sealed.keyVersion == 1)
        let opened = try await client.decrypt(decrypt(sealed.ciphertext))
        #expect(opened.plaintext == Data("provider token".utf8))
    }

    @Test func rotateDescribeRewrap() async throws {
        let service = try Service()
        let (client, admin) = (try service.keys(as: "token"), try service.keys(as: "operator"))
        let sealed = try await client.encrypt(encrypt())
        let rotation = try await admin.rotateKey(.with { $0.keyName = "token-vault" })
        #expect(rotation.pendingVersion == 2)
        service.composition.keeper.stop()
        let description = try await admin.describeKey(.with { $0.keyName = "token-vault" })
        #expect(description.primaryVersion == 2 && description.pendingVersion == 0 && description.usage == .aead)
        #expect(description.versions.map(\.version) == [1, 2])
        #expect(description.versions[0].createdAt.seconds == 1_800_000_000)
        let rewrapped = try await client.rewrap(
            .with {
                $0.keyName = "token-vault"
                $0.ciphertext = sealed.ciphertext
                $0.context = Data("con_1".utf8)
            })
        #expect(rewrapped.keyVersion == 2)
        let opened = try await client.decrypt(decrypt(rewrapped.ciphertext))
        #expect(opened.plaintext == Data("provider token".utf8))
    }

    /// The contract lets auth and email in; the key policy keeps them from token's key.
    @Test(arguments: ["auth", "email", "operator"])
    func anotherServicesKey(_ caller: String) async throws {
        let service = try Service()
        let sealed = try await service.keys(as: "token").encrypt(encrypt())
        let client = try service.keys(as: caller)
        let error = await failure { try await client.decrypt(decrypt(sealed.ciphertext)) }
        #expect(error?.code == .permissionDenied && error?.reason == "key_policy_denied")
        #expect(error?.message == "\(caller) may not DECRYPT with the key token-vault.")
        let other = await failure { try await client.encrypt(encrypt()) }
        #expect(other?.message == "\(caller) may not ENCRYPT with the key token-vault.")
    }

    @Test func aCallerWhoIsNotInTheContract() async throws {
        let client = try Service().keys(as: "gateway")
        let error = await failure { try await client.encrypt(encrypt()) }
        #expect(error?.code == .permissionDenied && error?.reason == "caller_not_allowed")
    }

    @Test func everyFailureToDecryptIsOneError() async throws {
        let service = try Service()
        let client = try service.keys(as: "token")
        let sealed = try await client.encrypt(encrypt()).ciphertext
        var flipped = sealed
        flipped[flipped.count - 1] ^= 1
        var version = sealed
        version[4] = 9
        var requests = [decrypt(sealed, "con_2"), decrypt(sealed, ""), decrypt(flipped), decrypt(version)]
        requests += [decrypt(sealed.prefix(4)), decrypt(Data([0])), decrypt(sealed + [0])]
        var texts: Set<String> = []
        for request in requests {
            var error = try #require(await failure { try await client.decrypt(request) })
            // Where the time went is not what went wrong.
            error.timeline = CallTimeline()
            texts.insert("\(error) \(error.processed) \(error.violations) \(error.retryAfter as Any)")
        }
        #expect(texts.count == 1)
    }

    @Test func badRequests() async throws {
        let client = try Service().keys(as: "token")
        let name = await failure { try await client.encrypt(encrypt(key: "../../etc")) }
        #expect(name?.code == .invalidArgument || name?.code == .permissionDenied)
        let unknown = await failure { try await client.encrypt(encrypt(key: "nothing")) }
        #expect(unknown?.code == .permissionDenied)
    }
}

@Suite struct PasswordHandlerTests {
    @Test func hashAndVerify() async throws {
        let client = try Service().passwords(as: "auth")
        let hash = try await client.hash(.with { $0.password = "otter lamp violin 42" }).passwordHash
        #expect(hash.hasPrefix("$2b$10$"))
        let right = try await client.verify(
            .with {
                $0.password = "otter lamp violin 42"
                $0.passwordHash = hash
            })
        #expect(right.matches && !right.needsRehash)
        let wrong = try await client.verify(
            .with {
                $0.password = "otter lamp violin 43"
                $0.passwordHash = hash
            })
        #expect(!wrong.matches)
    }

    @Test(arguments: [String(repeating: "a", count: 73), String(repeating: "é", count: 37), "abc\0def", ""])
    func unusablePasswords(_ password: String) async throws {
        let client = try Service().passwords(as: "auth")
        let error = await failure { try await client.hash(.with { $0.password = password }) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.violations.map(\.field) == ["password"])
        if !password.isEmpty { #expect(error.map { "\($0) \($0.violations)" }?.contains(password) == false) }
    }

    @Test func strength() async throws {
        let client = try Service().passwords(as: "auth")
        let good = try await client.checkStrength(.with { $0.password = "otter lamp violin 42" })
        #expect(good.acceptable && good.reasons.isEmpty)
        let bad = try await client.checkStrength(
            .with {
                $0.password = "jo.smith"
                $0.contextWords = ["jo.smith@clinic.example"]
            })
        #expect(!bad.acceptable && bad.reasons.map(\.code) == ["too_short", "contains_context"])
    }

    @Test(arguments: ["gateway", "token", "email", "operator"])
    func onlyAuthCalls(_ caller: String) async throws {
        let client = try Service().passwords(as: caller)
        let error = await failure { try await client.hash(.with { $0.password = "otter lamp violin 42" }) }
        #expect(error?.code == .permissionDenied)
    }

    /// A caller who is gone takes no core.
    @Test func aCancelledHashIsNotComputed() throws {
        let handler = PasswordHandler(hasher: PasswordHasher(rounds: 10), strength: PasswordStrength())
        let method = try #require(handler.syncMethods.first { $0.descriptor.name == "Hash" })
        let context = CallContext(
            method: method.descriptor, peer: try service("auth"), deadline: .after(.seconds(5)), requestID: RequestID("r") ?? RequestID())
        context.cancellation.cancel()
        #expect(throws: CancellationError.self) {
            try handler.hash(.with { $0.password = "otter lamp violin 42" }, context)
        }
    }
}

@Suite struct JWTHandlerTests {
    private let request = EncryptionSignRequest.with {
        $0.keyName = "access-token"
        $0.subject = "usr_1"
        $0.audience = "lockstep"
        $0.sessionID = "ses_1"
        $0.roles = ["clinician"]
    }

    @Test func signVerifyAndThePublishedKeys() async throws {
        let service = try Service()
        let signed = try await service.tokens(as: "auth").sign(request)
        #expect(signed.expiresAt.seconds == 1_800_000_900)
        let verified = try await service.tokens(as: "gateway").verify(
            .with {
                $0.token = signed.token
                $0.audience = "lockstep"
            })
        #expect(verified.subject == "usr_1" && verified.sessionID == "ses_1" && verified.roles == ["clinician"])
        let published = try await service.tokens(as: "gateway").jwks(EncryptionJWKSRequest())
        let json = try published.jsonUTF8Bytes() as [UInt8]
        let verifier = TokenVerifier(
            keys: try JWKSet(json: json), type: .accessToken, issuer: "https://lockstep.local", audience: "lockstep")
        #expect(try verifier.verify(signed.token, now: 1_800_000_000).session == "ses_1")
    }

    @Test("OpenID Connect Core 1.0 2, RFC 9068 2.2: how, when and to which client, as it was asked for")
    func claimsOfAuthentication() async throws {
        let service = try Service()
        var full = request
        (full.amr, full.acr, full.authTime) = (["pwd", "otp", "mfa"], "https://lockstep.local/acr/aal2", 1_799_999_000)
        (full.clientID, full.scope) = ("cli_1", "admin responder")
        let token = try await service.tokens(as: "auth").sign(full).token
        let verified = try await service.tokens(as: "auth").verify(
            .with {
                $0.token = token
                $0.audience = "lockstep"
            })
        #expect(verified.amr == full.amr && verified.acr == full.acr && verified.authTime == full.authTime)
        #expect(verified.clientID == "cli_1" && verified.scope == "admin responder")
        #expect(verified.issuer == "https://lockstep.local" && verified.issuedAt.seconds == 1_800_000_000)
        let plain = try await service.tokens(as: "auth").sign(request).token
        let payload = try #require(Base64URL.decode(String(plain.split(separator: ".")[1])))
        let text = String(decoding: payload, as: UTF8.self)
        for name in ["amr", "acr", "auth_time", "client_id", "scope"] { #expect(!text.contains("\"\(name)\"")) }
    }

    @Test func refusals() async throws {
        let service = try Service()
        let denied = await failure { try await service.tokens(as: "gateway").sign(request) }
        #expect(denied?.code == .permissionDenied)
        let expired = await failure {
            let token = try await service.tokens(as: "auth").sign(request).token
            service.parts.clock.advance(seconds: 1000)
            return try await service.tokens(as: "gateway").verify(
                .with {
                    $0.token = token
                    $0.audience = "lockstep"
                })
        }
        #expect(expired?.code == .unauthenticated && expired?.reason == "token_expired")
        let long = await failure {
            try await service.tokens(as: "auth").sign(
                .with {
                    $0.keyName = "access-token"
                    $0.subject = "usr_1"
                    $0.audience = "lockstep"
                    $0.lifetimeS = 3601
                })
        }
        #expect(long?.code == .invalidArgument && long?.violations.map(\.field) == ["lifetime_s"])
    }
}
