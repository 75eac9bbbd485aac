package import Contracts
import FoundationEssentials
import LibCrypto
package import RPCCore
import SwiftProtobuf

/// `EncryptionService`: named keys, and what is done with them.
package struct EncryptionHandler: EncryptionServiceHandler {
    let vault: Vault
    private let administration: KeyAdministration
    private let facts: ServiceFacts

    package init(vault: Vault, administration: KeyAdministration, facts: ServiceFacts = ServiceFacts()) {
        self.vault = vault
        self.administration = administration
        self.facts = facts
    }

    package func encrypt(
        _ request: EncryptionEncryptRequest, _ context: CallContext
    ) throws -> EncryptionEncryptResponse {
        let sealed = try vault.encrypt(
            request.plaintext, key: request.keyName, context: request.context,
            version: request.keyVersion, caller: context.peer)
        vault.tell(.encrypt, request.keyName, version: sealed.version, context)
        return .with {
            $0.ciphertext = sealed.ciphertext
            $0.keyVersion = sealed.version
        }
    }

    package func decrypt(
        _ request: EncryptionDecryptRequest, _ context: CallContext
    ) throws -> EncryptionDecryptResponse {
        let ciphertext = request.ciphertext
        let plaintext = try vault.telling(.decrypt, request.keyName, of: ciphertext, context) {
            try vault.decrypt(ciphertext, key: request.keyName, context: request.context, caller: context.peer)
        }
        return .with { $0.plaintext = plaintext }
    }

    package func rewrap(
        _ request: EncryptionRewrapRequest, _ context: CallContext
    ) throws -> EncryptionRewrapResponse {
        let ciphertext = request.ciphertext
        let sealed = try vault.telling(.rewrap, request.keyName, of: ciphertext, context) {
            try vault.rewrap(ciphertext, key: request.keyName, context: request.context, caller: context.peer)
        }
        return .with {
            $0.ciphertext = sealed.ciphertext
            $0.keyVersion = sealed.version
        }
    }

    package func rotateKey(
        _ request: EncryptionRotateKeyRequest, _ context: CallContext
    ) throws -> EncryptionRotateKeyResponse {
        let version = try administration.rotate(request.keyName, caller: context.administrator)
        return .with { $0.pendingVersion = version }
    }

    package func describeKey(
        _ request: EncryptionDescribeKeyRequest, _ context: CallContext
    ) throws -> EncryptionDescribeKeyResponse {
        let description = try administration.describe(request.keyName, caller: context.peer)
        var response = EncryptionDescribeKeyResponse(description)
        response.versions = (description.key?.versions ?? []).map(EncryptionKeyVersion.init)
        return response
    }

    package func describeService(
        _ request: EncryptionDescribeServiceRequest, _ context: CallContext
    ) throws -> EncryptionDescribeServiceResponse {
        let provider = CryptoProvider.current
        let audit = vault.keeper.keyring.audit
        let pepper = try? facts.pepper?.current()
        return .with {
            $0.cryptoLibrary = CryptoProvider.library
            $0.cryptoProvider = provider.name
            $0.cryptoProviderVersion = provider.version
            $0.fipsRequired = facts.isFIPSRequired
            $0.bcryptRounds = UInt32(facts.rounds)
            $0.pepperKey = pepper?.key ?? ""
            $0.pepperVersion = pepper?.number ?? 0
            $0.auditSequence = audit.sequence
            $0.auditHash = Data(audit.hash)
            $0.auditsUses = vault.keeper.auditsUses
            $0.masterKeyLocked = LockedPage.areAllLocked
        }
    }

    // MARK: Data keys, MACs, random bytes

    package func generateDataKey(
        _ request: EncryptionGenerateDataKeyRequest, _ context: CallContext
    ) throws -> EncryptionGenerateDataKeyResponse {
        let length = request.length == 0 ? 32 : request.length
        guard [16, 32, 64].contains(length) else {
            throw EncryptionError.invalid(field: "length", "It must be 16, 32 or 64, or 0 for 32.")
        }
        var key = try vault.dataKey(
            Int(length), key: request.keyName, context: request.context, caller: context.peer)
        defer { if request.wrappedOnly { key.plaintext.withUnsafeMutableBytes { wipe($0) } } }
        vault.tell(.dataKey, request.keyName, version: key.sealed.version, context)
        return .with {
            if !request.wrappedOnly { $0.plaintext = key.plaintext }
            $0.ciphertext = key.sealed.ciphertext
            $0.keyVersion = key.sealed.version
        }
    }

    package func mac(_ request: EncryptionMACRequest, _ context: CallContext) throws -> EncryptionMACResponse {
        let made = try vault.authenticator(request.keyName, .mac, version: request.keyVersion, caller: context.peer)
            .mac(request.message)
        vault.tell(.mac, request.keyName, version: made.version, context)
        return .with {
            $0.mac = Data(made.mac)
            $0.keyVersion = made.version
        }
    }

    package func verifyMAC(
        _ request: EncryptionVerifyMACRequest, _ context: CallContext
    ) throws -> EncryptionVerifyMACResponse {
        let isValid = try vault.authenticator(request.keyName, .verifyMAC, caller: context.peer)
            .isValid(request.mac, for: request.message)
        let version = TaggedMAC.version(of: request.mac) ?? 0
        vault.tell(.verifyMAC, request.keyName, version: version, failed: isValid ? 0 : 1, context)
        return .with { $0.valid = isValid }
    }

    package func random(_ request: EncryptionRandomRequest, _ context: CallContext) throws -> EncryptionRandomResponse {
        let length = request.length == 0 ? 32 : request.length
        guard length <= 4096 else { throw EncryptionError.invalid(field: "length", "It must be 4096 at most.") }
        guard let bytes = try? RandomBytes.generate(Int(length)) else { throw EncryptionError.cryptoFailed }
        return .with { $0.random = Data(bytes) }
    }
}

extension Vault {
    /// Leaves word of a use that a call made of a key.
    func tell(
        _ operation: KeyOperation, _ key: String, version: UInt32, items: Int = 1, failed: Int = 0, _ context: CallContext
    ) {
        keeper.tell(
            operation, key, version: version, items: items, failed: failed, actor: context.peer.service, requestID: context.requestID)
    }

    /// Opens a ciphertext, and leaves word of that, also when it does not open.
    fileprivate func telling<Result>(
        _ operation: KeyOperation, _ key: String, of ciphertext: Data, _ context: CallContext, _ body: () throws -> Result
    ) throws -> Result {
        func tell(failed: Int) {
            guard keeper.auditsUses else { return }
            self.tell(operation, key, version: Ciphertext.version(of: ciphertext) ?? 0, failed: failed, context)
        }
        do {
            let result = try body()
            tell(failed: 0)
            return result
        } catch EncryptionError.decryptionFailed {
            tell(failed: 1)
            throw EncryptionError.decryptionFailed
        }
    }
}

/// What `DescribeService` tells beside what can be asked for.
package struct ServiceFacts: Sendable {
    package var isFIPSRequired = false
    package var rounds = PasswordHasher.defaultRounds
    package var pepper: Pepper?

    package init() {}
}

extension CallContext {
    /// Who administers keys with this call.
    var administrator: KeyAdministration.Caller { KeyAdministration.Caller(peer: peer, requestID: requestID) }
}

extension EncryptionKeyVersion {
    fileprivate init(_ version: KeyVersion) {
        self.init()
        self.version = version.number
        createdAt = Google_Protobuf_Timestamp(microseconds: version.createdAt)
        // One that waits for other processes has no time yet; what stands for that is no time of the calendar.
        if !version.isAwaited { activeAt = Google_Protobuf_Timestamp(microseconds: version.activeAt) }
        if case .aead(_, let meter) = version.material { uses = meter.count }
    }
}

extension EncryptionDescribeKeyResponse {
    /// All but the versions.
    init(_ description: KeyDescription) {
        self.init()
        keyName = description.name
        pendingChange = description.change?.action ?? ""
        primaryVersion = description.primary
        pendingVersion = description.pending ?? 0
        guard let key = description.key else {
            state = .pendingCreation
            return
        }
        usage = Usage(key.usage)
        algorithm = EncryptionSigningAlgorithm(key.kind)
        minDecryptionVersion = key.settings.minDecryption
        minEncryptionVersion = key.settings.minEncryption
        rotateAfterS = key.settings.rotateAfter
        rotateAfterUses = key.settings.rotateAfterUses
        exportable = key.options.isExportable
        derived = key.options.isDerived
        imported = key.options.isImported
        switch key.state {
        case .enabled: state = .enabled
        case .disabled: state = .disabled
        case .pendingDestruction(let time):
            state = .pendingDestruction
            destroyAt = Google_Protobuf_Timestamp(microseconds: time)
        }
    }
}

extension EncryptionDescribeKeyResponse.Usage {
    fileprivate init(_ usage: KeyUsage) {
        switch usage {
        case .aead: self = .aead
        case .mac: self = .mac
        case .sign: self = .sign
        }
    }
}

extension EncryptionSigningAlgorithm {
    fileprivate init(_ kind: KeyKind) {
        switch kind.algorithm {
        case .edDSA: self = .eddsa
        case .es256: self = .es256
        case nil: self = .unspecified
        }
    }
}

extension Google_Protobuf_Timestamp {
    /// Microseconds since 1970.
    init(microseconds: Int64) {
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let borrow: Int64 = rest < 0 ? 1 : 0
        self.init(seconds: seconds - borrow, nanos: Int32((rest + borrow * 1_000_000) * 1000))
    }
}
