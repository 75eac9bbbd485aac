import ContractClients
import Contracts
import RPCCore

/// Asks the encryption service for changes of keys, and waits until they are durable.
struct KeyDesk: Sendable {
    /// What passes by itself: the caller asks again.
    private static let passing: Set = ["key_change_pending", "export_pending", "wrapping_key_pending"]

    let keys: KeyServiceClient
    private let crypto: EncryptionServiceClient
    /// How long to wait for the keyring thread; for other processes that share a keyring three times as long, since one that is
    /// gone is waited for until its lease is over.
    let patience: Duration

    init(channel: any RPCChannel, patience: Duration = .seconds(10)) {
        keys = KeyServiceClient(channel)
        crypto = EncryptionServiceClient(channel)
        self.patience = patience
    }

    func describe(_ name: String) async throws(RPCError) -> EncryptionDescribeKeyResponse {
        try await crypto.describeKey(.with { $0.keyName = name }, .question)
    }

    func rewrap(_ request: EncryptionBatchRewrapRequest) async throws(RPCError) -> [EncryptionEncryptResult] {
        let results = try await crypto.batchRewrap(request, CallOptions(timeout: .seconds(30))).results
        guard results.count == request.items.count else { throw RPCError(.internal, "The batch has other results than items.") }
        return results
    }

    /// Makes the next version, and returns when it is in use; that of a signing key when it is published.
    func rotate(_ name: String) async throws -> EncryptionDescribeKeyResponse {
        var version: UInt32 = 0
        _ = try await changed(name, isDone: { $0.versions.count >= version }) { () throws(RPCError) in
            version = try await crypto.rotateKey(.with { $0.keyName = name }, .question).pendingVersion
        }
        return try await inUse(name)
    }

    /// The key, once its newest version is the one that seals: where processes share the keyring, all of them have it then.
    func inUse(_ name: String) async throws -> EncryptionDescribeKeyResponse {
        let end = ContinuousClock.now + patience * 3
        while true {
            let key = try await describe(name)
            // A signing key's next version waits for verifiers too, which takes minutes and nobody waits for.
            if key.usage == .sign || key.pendingVersion == 0 { return key }
            guard ContinuousClock.now < end else {
                throw CommandFailure(
                    "Version \(key.pendingVersion) of \(name) is there, and not in use yet: a process that shares the keyring does not "
                        + "have it. It is waited for until its lease is over (encryption.keyring.lease). Call this again then.",
                    status: 75)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Asks for a change and returns the key as it is afterwards.
    ///
    /// - Parameter isDone: Whether the key is as was asked for. A change that was taken on is refused later where another process
    ///   that shares the keyring was quicker.
    func changed(
        _ name: String, isDone: (EncryptionDescribeKeyResponse) -> Bool, _ ask: () async throws(RPCError) -> Void
    ) async throws -> EncryptionDescribeKeyResponse {
        try await patiently(ask)
        let end = ContinuousClock.now + patience
        while true {
            let key = try await describe(name)
            if key.pendingChange.isEmpty {
                if isDone(key) { return key }
                throw CommandFailure(
                    "What was asked for of \(name) was not done: another change came first. `lockstep keys describe \(name)` shows what "
                        + "the key is now; call this again if it is still wanted.", status: 75)
            }
            guard ContinuousClock.now < end else {
                throw CommandFailure(
                    "\(key.pendingChange) of \(name) is asked for, but not done yet: the keyring or its audit log cannot be "
                        + "written. The log of the encryption service says why; it is done as soon as that is mended.",
                    status: 75)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Asks until the answer is another than "not yet".
    func patiently<Value: Sendable>(_ ask: () async throws(RPCError) -> Value) async throws -> Value {
        let end = ContinuousClock.now + patience
        while true {
            do throws(RPCError) {
                return try await ask()
            } catch {
                guard Self.passing.contains(error.reason), ContinuousClock.now < end else { throw error }
                try await Task.sleep(for: error.retryAfter ?? .milliseconds(100))
            }
        }
    }
}
