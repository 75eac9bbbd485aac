import Foundation
import Synchronization
import Testing

@testable import LibCrypto

@Suite(.serialized) struct LockedPageTests {
    private let secret = Array("a secret of some length".utf8)

    private func page(_ system: LockedPage.System = LockedPage.System()) throws -> LockedPage {
        try secret.withUnsafeBytes { bytes throws(CryptoError) in try LockedPage(bytes, system) }
    }

    /// What the kernel says of the mapping that holds an address: its size in KiB and its flags (proc(5), smaps).
    private func mapping(of address: UnsafeRawPointer?) throws -> (size: Int, flags: Set<Substring>) {
        let wanted = UInt(bitPattern: address)
        var (isInside, size) = (false, 0)
        // Of a file without a size Foundation reads the first part alone.
        let all = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps")).readToEnd() ?? Data()
        for line in String(decoding: all, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if bounds.count == 2 { isInside = (bounds[0]..<bounds[1]).contains(wanted) }
            guard isInside else { continue }
            if words[0] == "Size:" { size = Int(words[1]) ?? 0 }
            if words[0] == "VmFlags:" { return (size, Set(words.dropFirst())) }
        }
        throw CocoaError(.fileReadUnknown)
    }

    @Test(
        "ASVS 13.3.3: a key's page is locked, left out of dumps and wiped in a forked child",
        .enabled(if: mayLock, "no page may be locked"), .enabled(if: mlockIsReal, "a sanitizer lets mlock do nothing"))
    func flags() throws {
        let key = try SymmetricKey(locked: [UInt8](repeating: 7, count: SymmetricKey.count))
        #expect(key.isLocked && LockedPage.areAllLocked)
        let (size, flags) = try key.withUnsafeBytes { try mapping(of: $0.baseAddress) }
        #expect(flags.isSuperset(of: ["lo", "dd", "wf"]), "\(flags)")
        #expect(size == Int(getpagesize()) / 1024)
        // Beside it a key that lies where everything does.
        let other = try SymmetricKey()
        let plain = try other.withUnsafeBytes { try mapping(of: $0.baseAddress) }
        #expect(plain.flags.isDisjoint(with: ["lo", "dd", "wf"]) && !other.isLocked)
    }

    /// The sanitizers' own mlock locks nothing: their shadow memory would not fit. `Tests/Sanitizers/run.sh` says that it is theirs.
    private static var mlockIsReal: Bool { getenv("LOCKSTEP_SANITIZER") == nil }

    /// Where nothing may be locked at all there is nothing to see; a user has 8 MiB as a rule.
    private static var mayLock: Bool {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
        return geteuid() == 0 || limit.rlim_cur >= rlim_t(getpagesize())
    }

    @Test func theSecretIsZeroedBeforeItsPageIsGivenBack() throws {
        let atTheEnd = Mutex<[UInt8]?>(nil)
        var system = LockedPage.System()
        let count = secret.count
        system.unmap = { page, size in
            atTheEnd.withLock { $0 = Array(UnsafeRawBufferPointer(start: page, count: count)) }
            munmap(page, size)
        }
        var page: LockedPage? = try page(system)
        #expect(page.map { Array($0.bytes) } == secret)
        page = nil
        #expect(atTheEnd.withLock { $0 } == [UInt8](repeating: 0, count: count))
    }

    /// As with RLIMIT_MEMLOCK at 0.
    @Test func aPageThatMayNotBeLocked() throws {
        var system = LockedPage.System()
        system.lock = { _, _ in -1 }
        do {
            let page = try page(system)
            #expect(!page.isLocked && !LockedPage.areAllLocked && Array(page.bytes) == secret)
            #expect(try mapping(of: page.bytes.baseAddress).flags.isSuperset(of: ["dd", "wf"]))
            withExtendedLifetime(page) {}
        }
        #expect(LockedPage.areAllLocked)
    }

    @Test func whatIsLongerThanAPage() {
        let long = [UInt8](repeating: 1, count: Int(getpagesize()) + 1)
        #expect(throws: CryptoError.limitExceeded) {
            try long.withUnsafeBytes { bytes throws(CryptoError) in try LockedPage(bytes) }
        }
    }

    /// It seals as any other key does, and keeps no schedule of itself on the heap.
    @Test func aLockedKeySeals() throws {
        let bytes = [UInt8](repeating: 9, count: SymmetricKey.count)
        let (locked, plain) = (try SymmetricKey(locked: bytes), try SymmetricKey(bytes: bytes))
        for _ in 0..<3 {
            let sealed = try AEAD.seal(secret, key: locked, aad: [UInt8]())
            #expect(try AEAD.open(sealed, key: plain, aad: [UInt8]()) == secret)
            #expect(try AEAD.open(sealed, key: locked, aad: [UInt8]()) == secret)
        }
        #expect(locked.encryption.idleCount == 0 && locked.decryption.idleCount == 0)
        #expect(plain.decryption.idleCount == 1)
        #expect(throws: CryptoError.invalidKey) { try SymmetricKey(locked: [1]) }
    }
}
