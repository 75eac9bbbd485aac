import ContractClients
import Contracts
import EmailService
import RPCCore
import RPCInProcess
import TestSupport
import Testing

/// Encryption's refusals and the database's trouble are failures of this service, and told without names.
@Suite(.everyEngine) struct DownstreamTests {
    @Test(arguments: [
        (StatusCode.permissionDenied, StatusCode.internal), (.notFound, .internal), (.unavailable, .unavailable),
        (.resourceExhausted, .unavailable),
    ])
    func encryptionsRefusalIsNotTheCallers(theirs: StatusCode, ours: StatusCode) async throws {
        let fixture = try await Fixture()
        let encryption = try InProcessChannel(sync: [RefusingEncryption(code: theirs)], peer: "email")
        let outbox = Outbox(
            store: fixture.store, sealer: EncryptionSealer(client: EncryptionServiceClient(encryption)),
            clock: fixture.clock, bell: fixture.bell)
        let client = EmailServiceClient(try InProcessChannel(async: [EmailHandler(outbox: outbox)], peer: "auth"))
        let error = await #expect(throws: RPCError.self) { _ = try await client.send(.verification()) }
        #expect(error?.code == ours && error?.reason != "planted" && error?.message.contains("planted") == false)
    }

    @Test func aDatabaseThatClosesIsUnavailable() async throws {
        let fixture = try await Fixture()
        await fixture.database.close()
        let error = await #expect(throws: RPCError.self) { _ = try await fixture.client.send(.verification()) }
        #expect(error?.code == .unavailable && error?.reason == "database_unavailable")
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
