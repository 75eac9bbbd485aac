import ContractClients
import Contracts
import Foundation
import LibCrypto
import RPCCore
import Synchronization
import Testing

@testable import EncryptionService

/// A service in which `token` may use keys of each usage.
private func service() throws -> Service {
    let keys = ["vault:AEAD", "seal:MAC", "access-token:SIGN"].compactMap(KeySpecification.init)
    let grants = KeyOperation.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ",")
    return try Service(keys: keys, policy: #"{"token": {"*": [\#(grants)]}, "operator": {"*": [\#(grants)]}}"#)
}

@Suite struct DataKeyTests {
    @Test("ASVS 11.1.1: a data key comes plain and wrapped, and Decrypt gives it back", arguments: [16, 32, 64] as [UInt32])
    func plainAndWrapped(_ length: UInt32) async throws {
        let client = try service().keys(as: "token")
        let request = EncryptionGenerateDataKeyRequest.with {
            $0.keyName = "vault"
            $0.context = Data("file 7".utf8)
            $0.length = length
        }
        let (one, two) = (try await client.generateDataKey(request), try await client.generateDataKey(request))
        #expect(one.plaintext.count == Int(length) && one.plaintext != two.plaintext && one.keyVersion == 1)
        let opened = try await client.decrypt(
            .with {
                $0.keyName = "vault"
                $0.ciphertext = one.ciphertext
                $0.context = Data("file 7".utf8)
            })
        #expect(opened.plaintext == one.plaintext)
        let elsewhere = await failure {
            try await client.decrypt(
                .with {
                    $0.keyName = "vault"
                    $0.ciphertext = one.ciphertext
                })
        }
        #expect(elsewhere?.reason == "decryption_failed")
    }

    @Test func wrappedOnly() async throws {
        let client = try service().keys(as: "token")
        let made = try await client.generateDataKey(
            .with {
                $0.keyName = "vault"
                $0.wrappedOnly = true
            })
        #expect(made.plaintext.isEmpty)
        let opened = try await client.decrypt(
            .with {
                $0.keyName = "vault"
                $0.ciphertext = made.ciphertext
            })
        #expect(opened.plaintext.count == 32)
    }

    @Test func otherLengthsAndOtherKeys() async throws {
        let client = try service().keys(as: "token")
        let length = await failure {
            try await client.generateDataKey(
                .with {
                    $0.keyName = "vault"
                    $0.length = 24
                })
        }
        #expect(length?.violations.map(\.field) == ["length"])
        let usage = await failure { try await client.generateDataKey(.with { $0.keyName = "seal" }) }
        #expect(usage?.reason == "wrong_key_usage")
        // What the standard policy does not grant is denied: a data key is not an encryption.
        let denied = await failure { try await Service().keys(as: "token").generateDataKey(.with { $0.keyName = "token-vault" }) }
        #expect(denied?.message == "token may not DATA_KEY with the key token-vault.")
    }
}

@Suite struct MACTests {
    private func mac(_ text: String, _ client: EncryptionServiceClient) async throws -> Data {
        try await client.mac(
            .with {
                $0.keyName = "seal"
                $0.message = Data(text.utf8)
            }
        ).mac
    }

    private func isValid(_ mac: Data, _ text: String, _ client: EncryptionServiceClient) async throws -> Bool {
        try await client.verifyMAC(
            .with {
                $0.keyName = "seal"
                $0.message = Data(text.utf8)
                $0.mac = mac
            }
        ).valid
    }

    @Test("ASVS 11.2.4: a MAC is valid whole, for its message and its key alone") func roundTrip() async throws {
        let client = try service().keys(as: "token")
        let made = try await mac("hello", client)
        #expect(Array(made.prefix(5)) == [2, 0, 0, 0, 1] && made.count == 37)
        #expect(try await isValid(made, "hello", client))
        #expect(try await !isValid(made, "hello!", client))
        for count in 1..<made.count { #expect(try await !isValid(made.prefix(count), "hello", client), "\(count) bytes") }
        for index in made.indices {
            var bad = made
            bad[index] ^= 1
            #expect(try await !isValid(bad, "hello", client), "byte \(index)")
        }
        #expect(try await !isValid(made + [0], "hello", client))
    }

    /// An old MAC stays valid under its version; the new version makes others.
    @Test func versions() async throws {
        let service = try service()
        let client = try service.keys(as: "token")
        let old = try await mac("hello", client)
        _ = try await service.keys(as: "operator").rotateKey(.with { $0.keyName = "seal" })
        #expect(service.events.change())
        let new = try await mac("hello", client)
        #expect(new != old && Array(new.prefix(5)) == [2, 0, 0, 0, 2])
        #expect(try await isValid(old, "hello", client))
        var crossed = new
        crossed[4] = 1
        #expect(try await !isValid(crossed, "hello", client))
    }

    @Test func aKeyServesOnePurpose() async throws {
        let client = try service().keys(as: "token")
        let mac = await failure { try await client.mac(.with { $0.keyName = "vault" }) }
        #expect(mac?.reason == "wrong_key_usage" && mac?.message == "The key vault is not for MAC.")
        let seal = await failure { try await client.encrypt(.with { $0.keyName = "seal" }) }
        #expect(seal?.reason == "wrong_key_usage")
    }
}

@Suite struct RandomTests {
    @Test("ASVS 11.5.1: random bytes of the wanted length, never the same") func lengths() async throws {
        let client = try service().keys(as: "token")
        var seen: Set<Data> = []
        for length: UInt32 in [0, 16, 32, 4096] {
            let (one, two) = (
                try await client.random(.with { $0.length = length }).random,
                try await client.random(.with { $0.length = length }).random
            )
            #expect(one.count == (length == 0 ? 32 : Int(length)))
            #expect(seen.insert(one).inserted && seen.insert(two).inserted)
        }
        let long = await failure { try await client.random(.with { $0.length = 4097 }) }
        #expect(long?.violations.map(\.field) == ["length"])
    }
}

@Suite struct BatchTests {
    private func encrypt(_ items: [(String, String)], _ client: EncryptionServiceClient) async throws -> EncryptionBatchEncryptResponse {
        try await client.batchEncrypt(
            .with {
                $0.keyName = "vault"
                $0.items = items.map { item in
                    .with {
                        $0.plaintext = Data(item.0.utf8)
                        $0.context = Data(item.1.utf8)
                    }
                }
            })
    }

    private func items(_ sealed: [(Data, String)]) -> [EncryptionCiphertextItem] {
        sealed.map { item in
            .with {
                $0.ciphertext = item.0
                $0.context = Data(item.1.utf8)
            }
        }
    }

    @Test("hashicorp/vault#2245: one bad item does not fail its neighbours, and the order stays") func oneBadItem() async throws {
        let client = try service().keys(as: "token")
        let sealed = try await encrypt([("a", "1"), ("b", "2"), ("", "3"), ("d", "4")], client).results
        #expect(sealed.allSatisfy { $0.keyVersion == 1 && !$0.hasError })
        var damaged = sealed[3].ciphertext
        damaged[20] ^= 1
        let request = EncryptionBatchDecryptRequest.with {
            $0.keyName = "vault"
            $0.items = items([
                (sealed[0].ciphertext, "1"), (sealed[1].ciphertext, "wrong"), (sealed[2].ciphertext, "3"), (damaged, "4"),
                (Data(), ""), (sealed[1].ciphertext, "2"),
            ])
        }
        let opened = try await client.batchDecrypt(request).results
        #expect(opened.map { String(decoding: $0.plaintext, as: UTF8.self) } == ["a", "", "", "", "", "b"])
        #expect(opened.map(\.hasError) == [false, true, false, true, true, false])
        let errors = Set(opened.filter(\.hasError).map { "\($0.error.code) \($0.error.reason) \($0.error.message)" })
        #expect(
            errors == ["INVALID_ARGUMENT decryption_failed The ciphertext does not decrypt with this key and context."])
    }

    @Test func itemsBreakTheirOwnLimitsAlone() async throws {
        let client = try service().keys(as: "token")
        let long = String(repeating: "x", count: 1025)
        let results = try await encrypt([("a", "1"), ("b", long)], client).results
        #expect(results.map(\.hasError) == [false, true])
        #expect(results[1].error.reason == "invalid_request")
        #expect(results[1].error.message == "The request is not valid: context. It must be 1024 bytes at most.")
    }

    @Test func rewrapsToThePrimaryVersion() async throws {
        let service = try service()
        let client = try service.keys(as: "token")
        let sealed = try await encrypt([("a", "1"), ("b", "2")], client).results
        _ = try await service.keys(as: "operator").rotateKey(.with { $0.keyName = "vault" })
        #expect(service.events.change())
        let rewrapped = try await client.batchRewrap(
            .with {
                $0.keyName = "vault"
                $0.items = items([(sealed[0].ciphertext, "1"), (sealed[1].ciphertext, "?"), (sealed[1].ciphertext, "2")])
            }
        ).results
        #expect(rewrapped.map(\.keyVersion) == [2, 0, 2] && rewrapped.map(\.hasError) == [false, true, false])
    }

    /// hashicorp/vault#10232: a batch took no notice of the version that was asked for.
    @Test("hashicorp/vault#10232: a batch takes the version that was asked for") func theAskedVersion() async throws {
        let service = try service()
        let client = try service.keys(as: "token")
        _ = try await service.keys(as: "operator").rotateKey(.with { $0.keyName = "vault" })
        #expect(service.events.change())
        for version: UInt32 in [0, 1, 2] {
            let results = try await client.batchEncrypt(
                .with {
                    $0.keyName = "vault"
                    $0.keyVersion = version
                    $0.items = [EncryptionEncryptItem()]
                }
            ).results
            #expect(results.map(\.keyVersion) == [version == 0 ? 2 : version])
        }
        let ahead = await failure {
            try await client.batchEncrypt(
                .with {
                    $0.keyName = "vault"
                    $0.keyVersion = 3
                    $0.items = [EncryptionEncryptItem()]
                })
        }
        #expect(ahead?.reason == "unknown_key_version")
    }

    @Test("A batch opens what versions sealed by turns, beside what nobody sealed") func versionsByTurns() async throws {
        let service = try service()
        let client = try service.keys(as: "token")
        let old = try await encrypt([("first", ""), ("third", "context")], client).results.map(\.ciphertext)
        _ = try await service.keys(as: "operator").rotateKey(.with { $0.keyName = "vault" })
        #expect(service.events.change())
        let new = try await encrypt([("second", "")], client).results.map(\.ciphertext)
        var damaged = old[0]
        damaged[damaged.count - 1] ^= 1
        let batch = items([(old[0], ""), (new[0], ""), (damaged, ""), (old[1], "context"), (new[0], "another"), (new[0], "")])
        let opened = try await client.batchDecrypt(
            .with {
                $0.keyName = "vault"
                $0.items = batch
            }
        ).results
        #expect(opened.map { String(decoding: $0.plaintext, as: UTF8.self) } == ["first", "second", "", "third", "", "second"])
        #expect(opened.map(\.error.reason) == ["", "", "decryption_failed", "", "decryption_failed", ""])

        let moved = try await client.batchRewrap(
            .with {
                $0.keyName = "vault"
                $0.items = Array(batch[..<4])
            }
        ).results
        #expect(moved.map(\.keyVersion) == [2, 2, 0, 2] && moved[2].error.reason == "decryption_failed")
        let inside = [("first", ""), ("second", ""), ("", ""), ("third", "context")]
        for (result, (text, context)) in zip(moved, inside) where !result.hasError {
            let plain = try await client.decrypt(
                .with {
                    $0.keyName = "vault"
                    $0.ciphertext = result.ciphertext
                    $0.context = Data(context.utf8)
                })
            #expect(String(decoding: plain.plaintext, as: UTF8.self) == text)
        }
    }

    @Test func macs() async throws {
        let client = try service().keys(as: "token")
        let made = try await client.batchMAC(
            .with {
                $0.keyName = "seal"
                $0.items = ["a", "b"].map { text in .with { $0.message = Data(text.utf8) } }
            }
        ).results
        let verified = try await client.batchVerifyMAC(
            .with {
                $0.keyName = "seal"
                $0.items = zip(["a", "a", "b", "b"], [made[0].mac, made[1].mac, made[1].mac, Data()]).map { text, mac in
                    .with {
                        $0.message = Data(text.utf8)
                        $0.mac = mac
                    }
                }
            }
        ).results
        #expect(verified.map(\.valid) == [true, false, true, false] && verified.allSatisfy { !$0.hasError })
    }

    @Test("1 to 10,000 items") func bounds() async throws {
        let client = try service().keys(as: "token")
        let none = await failure { try await encrypt([], client) }
        #expect(none?.code == .invalidArgument && none?.violations.map(\.field) == ["items"])
        let most = try await client.batchEncrypt(
            .with {
                $0.keyName = "vault"
                $0.items = (0..<10_000).map { number in .with { $0.plaintext = Data("\(number)".utf8) } }
            })
        #expect(most.results.count == 10_000 && most.results.allSatisfy { !$0.hasError })
        let opened = try await client.batchDecrypt(
            .with {
                $0.keyName = "vault"
                $0.items = most.results.map { result in .with { $0.ciphertext = result.ciphertext } }
            })
        #expect(opened.results.map { String(decoding: $0.plaintext, as: UTF8.self) } == (0..<10_000).map(String.init))
        let tooMany = await failure {
            try await client.batchEncrypt(
                .with {
                    $0.keyName = "vault"
                    $0.items = Array(repeating: EncryptionEncryptItem(), count: 10_001)
                })
        }
        #expect(tooMany?.violations.map(\.field) == ["items"])
    }

    /// What fits a request fits its answer: the most that the request's limit lets in is answered within the answer's.
    @Test func theAnswerHasRoom() throws {
        for method in [EncryptionServiceContract.batchEncrypt, EncryptionServiceContract.batchRewrap] {
            // Each result is longer than its item by version, nonce, tag, the version's field and longer lengths.
            #expect(method.responseLimit >= method.requestLimit + 10_000 * (5 + 28 + 2 + 4))
        }
    }

    @Test("ASVS 15.1.3: the contract says which work is long: a big batch goes to the CPU pool, a small one does not pay for it")
    func cost() {
        let batches = [
            EncryptionServiceContract.batchEncrypt, EncryptionServiceContract.batchDecrypt, EncryptionServiceContract.batchRewrap,
            EncryptionServiceContract.batchMAC, EncryptionServiceContract.batchVerifyMAC,
        ]
        for method in batches {
            #expect(method.cost == .inline(limit: 1024), "\(method.name)")
        }
        #expect(KeyServiceContract.importKey.cost == .pool)
        #expect(PasswordServiceContract.hash.cost == .pool && PasswordServiceContract.verify.cost == .pool)
    }

    /// The key is checked once for all items; without it no item is looked at.
    @Test func whatIsWrongWithTheKeyFailsTheCall() async throws {
        let service = try service()
        let client = try service.keys(as: "token")
        let unknown = await failure {
            try await client.batchEncrypt(
                .with {
                    $0.keyName = "nothing"
                    $0.items = [EncryptionEncryptItem()]
                })
        }
        #expect(unknown?.reason == "unknown_key")
        let usage = await failure {
            try await client.batchMAC(
                .with {
                    $0.keyName = "vault"
                    $0.items = [EncryptionMACItem()]
                })
        }
        #expect(usage?.reason == "wrong_key_usage")
        let denied = await failure {
            try await service.keys(as: "email").batchEncrypt(
                .with {
                    $0.keyName = "vault"
                    $0.items = [EncryptionEncryptItem()]
                })
        }
        #expect(denied?.reason == "key_policy_denied")
    }

    /// A caller who goes while a batch runs is noticed before its end. When that is, threads decide: tried until it was within.
    @Test func aBatchStopsWhenItsCallerGoes() throws {
        let service = try service()
        let handler = try #require(service.composition.handlers.compactMap { $0 as? EncryptionHandler }.first)
        let peer = try #require(PeerIdentity(service: "token"))
        let request: [UInt8] = try EncryptionBatchEncryptRequest.with {
            $0.keyName = "vault"
            $0.items = Array(repeating: EncryptionEncryptItem(), count: 10_000)
        }.serializedBytes()
        guard case .aead(_, let meter)? = handler.vault.keeper.key("vault")?.versions[0].material else {
            Issue.record("no such key")
            return
        }
        let stopped = (0..<50).contains { _ in
            let context = CallContext(
                method: EncryptionServiceContract.batchEncrypt, peer: peer, deadline: .after(.seconds(60)),
                requestID: RequestID("r") ?? RequestID())
            let before = meter.count
            let isOver = Mutex(false)
            let ended = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                while meter.count == before, !isOver.withLock({ $0 }) {}
                context.cancellation.cancel()
                ended.signal()
            }
            let result = Result { try handler.batchEncrypt(request.span.bytes, context) }
            isOver.withLock { $0 = true }
            ended.wait()
            guard case .failure(let error) = result else { return false }
            return error is CancellationError && meter.count > before && meter.count < before + 10_000
        }
        #expect(stopped)
    }

    @Test func aBatchBeyondItsDeadlineStops() throws {
        let service = try service()
        let handler = try #require(service.composition.handlers.compactMap { $0 as? EncryptionHandler }.first)
        let context = CallContext(
            method: EncryptionServiceContract.batchEncrypt, peer: try #require(PeerIdentity(service: "token")),
            deadline: .after(.seconds(-1)), requestID: RequestID("r") ?? RequestID())
        #expect(throws: CancellationError.self) {
            let request: [UInt8] = try EncryptionBatchEncryptRequest.with {
                $0.keyName = "vault"
                $0.items = [EncryptionEncryptItem()]
            }.serializedBytes()
            _ = try handler.batchEncrypt(request.span.bytes, context)
        }
    }
}
