package import Contracts
import FoundationEssentials
package import RPCCore
import SwiftProtobuf

/// Many items in one call. The key is found and checked once; an item that fails says so in its own result. A caller who is
/// gone is noticed between two items.
extension EncryptionHandler {
    package func batchEncrypt(
        _ request: EncryptionBatchEncryptRequest, _ context: CallContext
    ) throws -> EncryptionBatchEncryptResponse {
        let sealer = try vault.sealer(request.keyName, .encrypt, version: request.keyVersion, caller: context.peer)
        let results = try results(request.items, .encrypt, request.keyName, sealer.version.number, context, \.hasError) { item in
            do throws(EncryptionError) {
                try ItemLimits.check(plaintext: item.plaintext, context: item.context)
                return EncryptionEncryptResult(try sealer.seal(item.plaintext, context: item.context))
            } catch {
                return .with { $0.error = EncryptionItemError(error) }
            }
        }
        return .with { $0.results = results }
    }

    package func batchDecrypt(
        _ request: EncryptionBatchDecryptRequest, _ context: CallContext
    ) throws -> EncryptionBatchDecryptResponse {
        let opener = try vault.opener(request.keyName, .decrypt, caller: context.peer)
        let results = try results(request.items, .decrypt, request.keyName, 0, context, \.hasError) { item in
            do throws(EncryptionError) {
                try ItemLimits.check(ciphertext: item.ciphertext, context: item.context)
                let plaintext = try opener.open(item.ciphertext, context: item.context)
                return EncryptionDecryptResult.with { $0.plaintext = plaintext }
            } catch {
                return .with { $0.error = EncryptionItemError(error) }
            }
        }
        return .with { $0.results = results }
    }

    package func batchRewrap(
        _ request: EncryptionBatchRewrapRequest, _ context: CallContext
    ) throws -> EncryptionBatchRewrapResponse {
        let rewrapper = try vault.rewrapper(request.keyName, caller: context.peer)
        let results = try results(request.items, .rewrap, request.keyName, 0, context, \.hasError) { item in
            do throws(EncryptionError) {
                try ItemLimits.check(ciphertext: item.ciphertext, context: item.context)
                return EncryptionEncryptResult(try rewrapper.rewrap(item.ciphertext, context: item.context))
            } catch {
                return .with { $0.error = EncryptionItemError(error) }
            }
        }
        return .with { $0.results = results }
    }

    package func batchMAC(
        _ request: EncryptionBatchMACRequest, _ context: CallContext
    ) throws -> EncryptionBatchMACResponse {
        let key = try vault.authenticator(request.keyName, .mac, version: request.keyVersion, caller: context.peer)
        let results = try results(request.items, .mac, request.keyName, key.version.number, context, \.hasError) { item in
            do throws(EncryptionError) {
                try ItemLimits.check(message: item.message)
                let made = try key.mac(item.message)
                return EncryptionMACResult.with {
                    $0.mac = Data(made.mac)
                    $0.keyVersion = made.version
                }
            } catch {
                return .with { $0.error = EncryptionItemError(error) }
            }
        }
        return .with { $0.results = results }
    }

    package func batchVerifyMAC(
        _ request: EncryptionBatchVerifyMACRequest, _ context: CallContext
    ) throws -> EncryptionBatchVerifyMACResponse {
        let key = try vault.authenticator(request.keyName, .verifyMAC, caller: context.peer)
        let results = try results(request.items, .verifyMAC, request.keyName, 0, context, { !$0.valid }) { item in
            do throws(EncryptionError) {
                try ItemLimits.check(message: item.message)
                let isValid = try key.isValid(item.mac, for: item.message)
                return EncryptionVerifyMACResult.with { $0.valid = isValid }
            } catch {
                return .with { $0.error = EncryptionItemError(error) }
            }
        }
        return .with { $0.results = results }
    }

    /// One result for each item. They are told of as one use, also when the caller is gone before the last.
    ///
    /// - Parameter version: 0 where items may be of several.
    private func results<Item, Result>(
        _ items: [Item], _ operation: KeyOperation, _ key: String, _ version: UInt32, _ context: CallContext,
        _ isFailed: (Result) -> Bool, _ body: (Item) -> Result
    ) throws -> [Result] {
        var (results, failed): ([Result], Int) = ([], 0)
        results.reserveCapacity(items.count)
        defer { vault.tell(operation, key, version: version, items: results.count, failed: failed, context) }
        for item in items {
            try context.cancellation.check()
            let result = body(item)
            if isFailed(result) { failed += 1 }
            results.append(result)
        }
        return results
    }
}

/// What the contract says of the fields of a single call, for the fields of an item: there it would fail the whole batch.
private enum ItemLimits {
    static func check(plaintext: Data, context: Data) throws(EncryptionError) {
        try check("plaintext", plaintext, 1_048_576)
        try check("context", context, 1024)
    }

    static func check(ciphertext: Data, context: Data) throws(EncryptionError) {
        try check("ciphertext", ciphertext, 1_050_000)
        try check("context", context, 1024)
    }

    static func check(message: Data) throws(EncryptionError) { try check("message", message, 1_048_576) }

    private static func check(_ name: StaticString, _ value: Data, _ maximum: Int) throws(EncryptionError) {
        guard value.count > maximum else { return }
        throw .invalid(field: "\(name)", "It must be \(maximum) bytes at most.")
    }
}

extension EncryptionEncryptResult {
    fileprivate init(_ sealed: Vault.Sealed) {
        self.init()
        ciphertext = sealed.ciphertext
        keyVersion = sealed.version
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
