import ContractClients
import Contracts
import Logging
import RPCCore
import RPCInProcess
import TestSupport
import Testing

@testable import TokenService

/// Encryption's refusals and the database's trouble are failures of this service, and told without names.
@Suite(.everyEngine) struct DownstreamTests {
    private let registry = ProviderRegistry([.acme("https://acme.example")])

    @Test(arguments: [
        (StatusCode.permissionDenied, StatusCode.internal), (.notFound, .internal), (.unavailable, .unavailable),
        (.resourceExhausted, .unavailable),
    ])
    func encryptionsRefusalIsNotTheUsers(theirs: StatusCode, ours: StatusCode) async throws {
        try await Fixture.with(registry) { fixture in
            let user = UserIdentity(subject: "usr_ada", sessionID: "ses_1", roles: [], lane: .routine)
            let encryption = try InProcessChannel(sync: [RefusingEncryption(code: theirs)], peer: "token", user: user)
            let parts = TokenParts(
                store: fixture.store, sealer: EncryptionSealer(client: EncryptionServiceClient(encryption)),
                providers: fixture.providers, client: OAuthClient(http: fixture.http, timeout: .seconds(1)),
                settings: TokenSettings(), clock: fixture.clock,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let error = await failure { try await fixture.client("usr_ada", of: parts).start() }
            #expect(error?.code == ours && error?.reason != "planted" && error?.message.contains("planted") == false)
        }
    }

    /// What cannot be opened because it was tampered with is told apart from a service that refuses.
    @Test func onlyBytesThatDoNotOpenAreUnreadable() async throws {
        func opened(_ code: StatusCode) async -> (any Error)? {
            await #expect(throws: (any Error).self) {
                let encryption = try InProcessChannel(sync: [RefusingEncryption(code: code)], peer: "token")
                _ = try await EncryptionSealer(client: EncryptionServiceClient(encryption))
                    .open([1], context: "c", options: CallOptions())
            }
        }
        #expect(await opened(.invalidArgument) as? TokenError == .unreadableToken)
        #expect(await opened(.permissionDenied) as? TokenError == nil)
    }

    @Test func aDatabaseThatClosesIsUnavailable() async throws {
        try await Fixture.with(registry) { fixture in
            await fixture.database.close()
            let error = await failure { try await fixture.client("usr_ada").states() }
            #expect(error?.code == .unavailable && error?.reason == "database_unavailable")
        }
    }
}

/// Encryption with a policy or a keyring that does not fit: refuses everything with one status.
struct RefusingEncryption: EncryptionServiceHandler {
    let code: StatusCode

    private var refusal: RPCError { RPCError(code, "This service may not use the key planted.", reason: "planted") }

    func encrypt(_: EncryptionEncryptRequest, _: CallContext) throws -> EncryptionEncryptResponse { throw refusal }
    func decrypt(_: EncryptionDecryptRequest, _: CallContext) throws -> EncryptionDecryptResponse { throw refusal }
    func rewrap(_: EncryptionRewrapRequest, _: CallContext) throws -> EncryptionRewrapResponse { throw refusal }
    func rotateKey(_: EncryptionRotateKeyRequest, _: CallContext) throws -> EncryptionRotateKeyResponse {
        throw refusal
    }
    func describeKey(_: EncryptionDescribeKeyRequest, _: CallContext) throws -> EncryptionDescribeKeyResponse {
        throw refusal
    }
    func describeService(_: EncryptionDescribeServiceRequest, _: CallContext) throws -> EncryptionDescribeServiceResponse { throw refusal }
    func generateDataKey(_: EncryptionGenerateDataKeyRequest, _: CallContext) throws -> EncryptionGenerateDataKeyResponse { throw refusal }
    func mac(_: EncryptionMACRequest, _: CallContext) throws -> EncryptionMACResponse { throw refusal }
    func verifyMAC(_: EncryptionVerifyMACRequest, _: CallContext) throws -> EncryptionVerifyMACResponse { throw refusal }
    func random(_: EncryptionRandomRequest, _: CallContext) throws -> EncryptionRandomResponse { throw refusal }
    func batchEncrypt(_: RawSpan, _: CallContext) throws -> [UInt8] { throw refusal }
    func batchDecrypt(_: RawSpan, _: CallContext) throws -> [UInt8] { throw refusal }
    func batchRewrap(_: RawSpan, _: CallContext) throws -> [UInt8] { throw refusal }
    func batchMAC(_: RawSpan, _: CallContext) throws -> [UInt8] { throw refusal }
    func batchVerifyMAC(_: RawSpan, _: CallContext) throws -> [UInt8] { throw refusal }
}
