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
            EncryptionEncryptResult(
                ItemLimits.checking(plaintext: item.plaintext, context: item.context).flatMap {
                    attempt { () throws(EncryptionError) in
                        try sealer.seal(item.plaintext, context: item.context)
                    }
                })
        }
        return .with { $0.results = results }
    }

    package func batchDecrypt(
        _ request: EncryptionBatchDecryptRequest, _ context: CallContext
    ) throws -> EncryptionBatchDecryptResponse {
        let opener = try vault.opener(request.keyName, .decrypt, caller: context.peer)
        let results = try results(request.items, .decrypt, request.keyName, 0, context, \.hasError) { item in
            let opened = ItemLimits.checking(ciphertext: item.ciphertext, context: item.context).flatMap {
                attempt { () throws(EncryptionError) in
                    try opener.open(item.ciphertext, context: item.context)
                }
            }
            return EncryptionDecryptResult.with {
                switch opened {
                case .success(let plaintext): $0.plaintext = plaintext
                case .failure(let error): $0.error = EncryptionItemError(error)
                }
            }
        }
        return .with { $0.results = results }
    }

    package func batchRewrap(
        _ request: EncryptionBatchRewrapRequest, _ context: CallContext
    ) throws -> EncryptionBatchRewrapResponse {
        let rewrapper = try vault.rewrapper(request.keyName, caller: context.peer)
        let results = try results(request.items, .rewrap, request.keyName, 0, context, \.hasError) { item in
            EncryptionEncryptResult(
                ItemLimits.checking(ciphertext: item.ciphertext, context: item.context).flatMap {
                    attempt { () throws(EncryptionError) in
                        try rewrapper.rewrap(item.ciphertext, context: item.context)
                    }
                })
        }
        return .with { $0.results = results }
    }

    package func batchMAC(
        _ request: EncryptionBatchMACRequest, _ context: CallContext
    ) throws -> EncryptionBatchMACResponse {
        let key = try vault.authenticator(request.keyName, .mac, version: request.keyVersion, caller: context.peer)
        let results = try results(request.items, .mac, request.keyName, key.version.number, context, \.hasError) { item in
            let made = ItemLimits.checking(message: item.message).flatMap {
                attempt { () throws(EncryptionError) in try key.mac(item.message) }
            }
            return EncryptionMACResult.with {
                switch made {
                case .success(let made):
                    $0.mac = Data(made.mac)
                    $0.keyVersion = made.version
                case .failure(let error): $0.error = EncryptionItemError(error)
                }
            }
        }
        return .with { $0.results = results }
    }

    package func batchVerifyMAC(
        _ request: EncryptionBatchVerifyMACRequest, _ context: CallContext
    ) throws -> EncryptionBatchVerifyMACResponse {
        let key = try vault.authenticator(request.keyName, .verifyMAC, caller: context.peer)
        let results = try results(request.items, .verifyMAC, request.keyName, 0, context, { !$0.valid }) { item in
            let verified = ItemLimits.checking(message: item.message).flatMap {
                attempt { () throws(EncryptionError) in try key.isValid(item.mac, for: item.message) }
            }
            return EncryptionVerifyMACResult.with {
                switch verified {
                case .success(let isValid): $0.valid = isValid
                case .failure(let error): $0.error = EncryptionItemError(error)
                }
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

    private func attempt<Value>(
        _ body: () throws(EncryptionError) -> Value
    ) -> Result<Value, EncryptionError> {
        do throws(EncryptionError) { return .success(try body()) } catch { return .failure(error) }
    }
}

/// What the contract says of the fields of a single call, for the fields of an item: there it would fail the whole batch.
private enum ItemLimits {
    static func checking(plaintext: Data, context: Data) -> Result<Void, EncryptionError> {
        check([("plaintext", plaintext, 1_048_576), ("context", context, 1024)])
    }

    static func checking(ciphertext: Data, context: Data) -> Result<Void, EncryptionError> {
        check([("ciphertext", ciphertext, 1_050_000), ("context", context, 1024)])
    }

    static func checking(message: Data) -> Result<Void, EncryptionError> { check([("message", message, 1_048_576)]) }

    private static func check(_ fields: [(name: String, value: Data, maximum: Int)]) -> Result<Void, EncryptionError> {
        for field in fields where field.value.count > field.maximum {
            return .failure(.invalid(field: field.name, "It must be \(field.maximum) bytes at most."))
        }
        return .success(())
    }
}

extension EncryptionEncryptResult {
    fileprivate init(_ result: Result<Vault.Sealed, EncryptionError>) {
        self.init()
        switch result {
        case .success(let sealed):
            ciphertext = sealed.ciphertext
            keyVersion = sealed.version
        case .failure(let error): self.error = EncryptionItemError(error)
        }
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
