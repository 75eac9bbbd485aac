import Contracts
import Foundation
import RPCCore
import Testing

@testable import EncryptionService
@testable import LibCrypto

/// What the service makes of a page that may not be locked. `LockedPageTests` has the page itself.
@Suite(.serialized) struct MasterKeyMemoryTests {
    /// A page of this process that the system did not let be locked, as with RLIMIT_MEMLOCK at 0.
    private func unlockedPage() throws -> LockedPage {
        var system = LockedPage.System()
        system.lock = { _, _ in -1 }
        return try [1, 2, 3].withUnsafeBytes { bytes throws(CryptoError) in try LockedPage(bytes, system) }
    }

    @Test func itIsToldOnceAndTheServiceGoesOn() async throws {
        let page = try unlockedPage()
        let service = try Service()
        #expect(service.events.told == ["memory not locked"])
        let client = try service.keys(as: "operator")
        #expect(try await !client.describeService(EncryptionDescribeServiceRequest()).masterKeyLocked)
        let sealed = try await service.keys(as: "token").encrypt(.with { $0.keyName = "token-vault" })
        #expect(!sealed.ciphertext.isEmpty)
        withExtendedLifetime(page) {}
    }

    @Test func orItDoesNotStart() throws {
        let page = try unlockedPage()
        let problem = #expect(throws: StartProblem.memoryNotLocked) { try Service { $0.isMemoryLockRequired = true } }
        #expect(problem?.exitStatus == 78 && problem?.description.contains("raise RLIMIT_MEMLOCK") == true)
        withExtendedLifetime(page) {}
    }

    @Test("ASVS 13.3.3: the master key is in a locked page", .enabled(if: geteuid() == 0, "a user may be allowed none"))
    func locked() async throws {
        let key = try MasterKey(bytes: [UInt8](repeating: 1, count: 32))
        #expect(key.sealing.isLocked)
        let service = try Service { $0.isMemoryLockRequired = true }
        #expect(service.events.told == [])
        #expect(try await service.keys(as: "operator").describeService(EncryptionDescribeServiceRequest()).masterKeyLocked)
    }
}
