import Contracts
import FoundationEssentials
import LibCrypto
package import RPCCore
import SwiftProtobuf

/// Many items in one call, read where they came in, with their results written where they leave from. The key is found and
/// checked once; an item that fails says so in its own result. A caller who is gone is noticed within
/// sixteen items.
extension EncryptionHandler {
    package func batchEncrypt(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
        try request.withUnsafeBytes { bytes in
            let batch = try Batch(bytes, of: context.method, items: \EncryptionBatchEncryptRequest.items)
            let key = batch.head.keyName
            let sealer = try vault.sealer(key, .encrypt, version: batch.head.keyVersion, caller: context.peer, items: batch.count)
            let room = bytes.count + batch.count * (Ciphertext.overhead + Self.framing)
            return try results(of: batch, room, .encrypt, key, sealer.version, context) { item, results throws(EncryptionError) in
                try ItemLimits.check(plaintext: item.subject, context: item.companion)
                try results.append(size: item.subject.count + Ciphertext.overhead, version: sealer.version) {
                    target throws(EncryptionError) in
                    try sealer.seal(item.subject, context: item.companion, into: target)
                }
                return true
            } failure: {
                EncryptionEncryptResult($0)
            }
        }
    }

    package func batchDecrypt(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
        try request.withUnsafeBytes { bytes in
            let batch = try Batch(bytes, of: context.method, items: \EncryptionBatchDecryptRequest.items)
            let key = batch.head.keyName
            let opener = try vault.opener(key, .decrypt, caller: context.peer, items: batch.count)
            return try results(of: batch, bytes.count, .decrypt, key, 0, context) { item, results throws(EncryptionError) in
                try ItemLimits.check(ciphertext: item.subject, context: item.companion)
                try results.append(size: Ciphertext.plaintextCount(of: item.subject.count)) { target throws(EncryptionError) in
                    try opener.open(item.subject, context: item.companion, into: target)
                }
                return true
            } failure: { error in
                EncryptionDecryptResult.with { $0.error = EncryptionItemError(error) }
            }
        }
    }

    package func batchRewrap(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
        try request.withUnsafeBytes { bytes in
            let batch = try Batch(bytes, of: context.method, items: \EncryptionBatchRewrapRequest.items)
            let key = batch.head.keyName
            let rewrapper = try vault.rewrapper(key, caller: context.peer, items: batch.count)
            let room = bytes.count + batch.count * Self.framing
            return try results(of: batch, room, .rewrap, key, 0, context) { item, results throws(EncryptionError) in
                try ItemLimits.check(ciphertext: item.subject, context: item.companion)
                let version = rewrapper.version
                try results.append(size: item.subject.count, version: version) { target throws(EncryptionError) in
                    try rewrapper.rewrap(item.subject, context: item.companion, into: target)
                }
                return true
            } failure: {
                EncryptionEncryptResult($0)
            }
        }
    }

    package func batchMAC(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
        try request.withUnsafeBytes { bytes in
            let batch = try Batch(bytes, of: context.method, items: \EncryptionBatchMACRequest.items)
            let name = batch.head.keyName
            let key = try vault.authenticator(name, .mac, version: batch.head.keyVersion, caller: context.peer)
            let room = batch.count * (TaggedMAC.count + Self.framing)
            return try results(of: batch, room, .mac, name, key.version.number, context) { item, results throws(EncryptionError) in
                try ItemLimits.check(message: item.subject)
                let made = try key.mac(item.subject)
                try results.append(size: made.mac.count, version: made.version) { $0.copyBytes(from: made.mac) }
                return true
            } failure: { error in
                EncryptionMACResult.with { $0.error = EncryptionItemError(error) }
            }
        }
    }

    package func batchVerifyMAC(_ request: RawSpan, _ context: CallContext) throws -> [UInt8] {
        try request.withUnsafeBytes { bytes in
            let batch = try Batch(bytes, of: context.method, items: \EncryptionBatchVerifyMACRequest.items)
            let name = batch.head.keyName
            let key = try vault.authenticator(name, .verifyMAC, caller: context.peer)
            let room = batch.count * Self.framing
            return try results(of: batch, room, .verifyMAC, name, 0, context) { item, results throws(EncryptionError) in
                try ItemLimits.check(message: item.subject)
                let isValid = try key.isValid(item.companion, for: item.subject)
                results.append(valid: isValid)
                return isValid
            } failure: { error in
                EncryptionVerifyMACResult.with { $0.error = EncryptionItemError(error) }
            }
        }
    }

    /// Items from one question whether the caller is gone to the next: it reads a clock.
    private static var itemsBetweenChecks: Int { 16 }
    /// The most that a result takes beside its bytes: tags, lengths and a version.
    private static var framing: Int { 20 }

    /// One result for each item. They are told of as one use, also when the caller is gone before the last.
    ///
    /// - Parameters:
    ///   - room: What the results are expected to take, in bytes.
    ///   - version: 0 where items may be of several.
    ///   - body: Adds an item's result, and says whether it is a success.
    private func results<Head, Failure: Message>(
        of batch: Batch<Head>, _ room: Int, _ operation: KeyOperation, _ key: String, _ version: UInt32, _ context: CallContext,
        _ body: (BatchItem, inout BatchResults) throws(EncryptionError) -> Bool, failure: (EncryptionError) -> Failure
    ) throws -> [UInt8] {
        var (results, failed) = (BatchResults(capacity: min(room, Int(context.method.responseLimit))), 0)
        defer { vault.tell(operation, key, version: version, items: results.count, failed: failed, context) }
        for (index, item) in batch.items.enumerated() {
            if index % Self.itemsBetweenChecks == 0 { try context.cancellation.check() }
            do throws(EncryptionError) {
                if try !body(item, &results) { failed += 1 }
            } catch {
                failed += 1
                try results.append(failure(error))
            }
        }
        return results.message.bytes
    }
}

/// What the contract says of the fields of a single call, for the fields of an item: there it would fail the whole batch.
private enum ItemLimits {
    static func check(plaintext: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer) throws(EncryptionError) {
        try check("plaintext", plaintext, 1_048_576)
        try check("context", context, 1024)
    }

    static func check(ciphertext: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer) throws(EncryptionError) {
        try check("ciphertext", ciphertext, 1_050_000)
        try check("context", context, 1024)
    }

    static func check(message: UnsafeRawBufferPointer) throws(EncryptionError) { try check("message", message, 1_048_576) }

    private static func check(_ name: StaticString, _ value: UnsafeRawBufferPointer, _ maximum: Int) throws(EncryptionError) {
        guard value.count > maximum else { return }
        throw .invalid(field: "\(name)", "It must be \(maximum) bytes at most.")
    }
}

extension EncryptionEncryptResult {
    fileprivate init(_ error: EncryptionError) {
        self.init()
        self.error = EncryptionItemError(error)
    }
}

extension EncryptionItemError {
    fileprivate init(_ error: EncryptionError) {
        let error = error.rpcError
        self.init()
        code = error.code.name
        reason = error.reason
        message = ([error.message] + error.violations.map(\.message)).joined(separator: " ")
    }
}
