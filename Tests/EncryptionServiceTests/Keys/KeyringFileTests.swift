import Foundation
import LibCrypto
import RPCCore
import TestSupport
import Testing

@testable import EncryptionService

/// What the files may come to, and what the process says then.
@Suite struct KeyringFileTests {
    /// A directory with a keyring in it, and a ciphertext made with it.
    private func made() throws -> (Parts, [UInt8]) {
        let parts = try Parts()
        let keeper = try parts.open(create: true)
        let sealed = try parts.vault(keeper).encrypt(
            [1, 2, 3], key: "token-vault", context: [9], caller: service("token"))
        keeper.stop()
        return (parts, sealed.ciphertext)
    }

    private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    private func write(_ bytes: [UInt8], _ path: String, mode: Int = 0o600) throws {
        try Data(bytes).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test func aFirstStartMustBeAskedFor() throws {
        let parts = try Parts()
        #expect(parts.problem() == .masterKeyMissing(path: parts.location.masterKey))
        #expect(!FileManager.default.fileExists(atPath: parts.location.masterKey))
        #expect(parts.problem(create: true) == nil)
        #expect(parts.problem() == nil)
    }

    @Test func theFilesArePrivate() throws {
        let (parts, _) = try made()
        for path in [parts.location.keyring, parts.location.masterKey] {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test("ASVS 13.3.1: the keyring's file shows no key")
    func theFileShowsNoKey() throws {
        let (parts, _) = try made()
        let keeper = try parts.open()
        defer { keeper.stop() }
        let file = Data(try bytes(parts.location.keyring))
        for version in keeper.keyring.keys.flatMap(\.versions) {
            guard case .aead(let key, _) = version.material else { continue }
            #expect(file.firstRange(of: key.withUnsafeBytes { Data($0) }) == nil)
        }
        #expect(file.firstRange(of: Data("token-vault".utf8)) == nil)
    }

    @Test func whatWasSealedOpensAfterARestart() throws {
        let (parts, sealed) = try made()
        let keeper = try parts.open()
        defer { keeper.stop() }
        let opened = try parts.vault(keeper).decrypt(sealed, key: "token-vault", context: [9], caller: service("token"))
        #expect(opened == [1, 2, 3])
    }

    @Test func everyTruncationIsRefusedAndLeftAlone() throws {
        let (parts, _) = try made()
        let whole = try bytes(parts.location.keyring)
        for count in 0..<whole.count {
            try write(Array(whole.prefix(count)), parts.location.keyring)
            guard case .corrupt(let path, _)? = parts.problem(create: true) else {
                Issue.record("opened at \(count) bytes")
                continue
            }
            #expect(path == parts.location.keyring)
            #expect(try bytes(parts.location.keyring).count == count)
        }
    }

    @Test func everyFlippedByteIsRefusedAndLeftAlone() throws {
        let (parts, _) = try made()
        let whole = try bytes(parts.location.keyring)
        for index in whole.indices {
            var bad = whole
            bad[index] ^= 0x10
            try write(bad, parts.location.keyring)
            let problem = try #require(parts.problem(create: true), "byte \(index)")
            #expect("\(problem)".contains(parts.location.keyring))
            #expect(try bytes(parts.location.keyring) == bad)
        }
        try write(whole + [0], parts.location.keyring)
        #expect(parts.problem() == .corrupt(path: parts.location.keyring, reason: "its seal is broken"))
        try write(whole, parts.location.keyring)
        #expect(parts.problem() == nil)
    }

    @Test func anUnknownFormat() throws {
        let (parts, _) = try made()
        var file = try bytes(parts.location.keyring)
        file[5] = 3
        try write(file, parts.location.keyring)
        #expect(parts.problem() == .unknownFormat(path: parts.location.keyring, version: 3))
    }

    @Test func aWrongMasterKey() throws {
        let (parts, _) = try made()
        try write(Array((Hex.encode(try RandomBytes.generate(32)) + "\n").utf8), parts.location.masterKey)
        #expect(
            parts.problem(create: true)
                == .wrongMasterKey(path: parts.location.masterKey, keyring: parts.location.keyring))
    }

    @Test func aLostMasterKey() throws {
        let (parts, _) = try made()
        try FileManager.default.removeItem(atPath: parts.location.masterKey)
        #expect(
            parts.problem(create: true)
                == .masterKeyLost(path: parts.location.masterKey, keyring: parts.location.keyring))
        #expect(!FileManager.default.fileExists(atPath: parts.location.masterKey))
    }

    @Test func aLostKeyringIsNotMadeAnew() throws {
        let (parts, _) = try made()
        try FileManager.default.removeItem(atPath: parts.location.keyring)
        let lost = KeyringProblem.lost(path: parts.location.keyring, mark: parts.location.mark)
        #expect(parts.problem(create: true) == lost)
        try FileManager.default.removeItem(atPath: parts.location.masterKey)
        #expect(parts.problem(create: true) == lost)
        #expect(!FileManager.default.fileExists(atPath: parts.location.keyring))
    }

    @Test(arguments: ["", "\n", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 63)])
    func aMalformedMasterKey(_ text: String) throws {
        let (parts, _) = try made()
        try write(Array(text.utf8), parts.location.masterKey)
        #expect(parts.problem() == .masterKeyMalformed(path: parts.location.masterKey))
    }

    @Test("ASVS 13.3.1: key files are their owner's alone", arguments: [0o644, 0o640, 0o604, 0o660, 0o700, 0o666])
    func aModeThatIsTooOpen(_ mode: Int) throws {
        let (parts, _) = try made()
        for path in [parts.location.masterKey, parts.location.keyring] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            let found = "its mode is 0\(String(mode, radix: 8))"
            #expect(parts.problem() == .notPrivate(path: path, found: found))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
        #expect(parts.problem() == nil)
    }

    @Test func notARegularFile() throws {
        let (parts, _) = try made()
        let elsewhere = parts.directory.path("elsewhere")
        try FileManager.default.moveItem(atPath: parts.location.masterKey, toPath: elsewhere)
        try FileManager.default.createSymbolicLink(atPath: parts.location.masterKey, withDestinationPath: elsewhere)
        #expect(
            parts.problem() == .notPrivate(path: parts.location.masterKey, found: "it is a symbolic link"))
    }

    /// A crash in the middle of a write leaves the new file beside the old one.
    @Test func whatACrashLeftBesideIsPassedOver() throws {
        let (parts, sealed) = try made()
        try write([1, 2, 3], parts.location.keyring + ".new")
        let keeper = try parts.open()
        defer { keeper.stop() }
        let opened = try parts.vault(keeper).decrypt(sealed, key: "token-vault", context: [9], caller: service("token"))
        #expect(opened == [1, 2, 3])
    }

    /// A crash between the keyring and its mark: the next start makes the mark.
    @Test func aMissingMarkIsMade() throws {
        let (parts, _) = try made()
        try FileManager.default.removeItem(atPath: parts.location.mark)
        #expect(parts.problem() == nil)
        #expect(FileManager.default.fileExists(atPath: parts.location.mark))
    }

    @Test func twoProcessesDoNotShareAKeyring() throws {
        let parts = try Parts()
        do {
            let keeper = try parts.open(create: true)
            defer { keeper.stop() }
            #expect(parts.problem() == .inUse(path: parts.location.lock))
        }
        #expect(parts.problem() == nil)
    }

    @Test func aKeyThatConfigurationAsksFor() throws {
        let (parts, _) = try made()
        let more = Parts.wanted + ["audit:AEAD"].compactMap(KeySpecification.init)
        #expect(
            parts.problem(wanted: more) == .keyMissing(name: "audit", path: parts.location.keyring))
        #expect(parts.problem(create: true, wanted: more) == nil)
        #expect(parts.problem(wanted: more) == nil)
        let other = ["audit:SIGN"].compactMap(KeySpecification.init)
        #expect(
            parts.problem(wanted: other)
                == .wrongUsage(name: "audit", path: parts.location.keyring, expected: "SIGN"))
    }

    /// What could not be read again is not written: neither when configuration asks for it, nor later.
    @Test func aKeyringIsNeverFullerThanItIsRead() throws {
        let parts = try Parts()
        let wanted = (1...Keyring.maximumKeys).compactMap { KeySpecification("k\($0):MAC") }
        try parts.open(create: true, wanted: wanted).stop()
        let before = try bytes(parts.location.keyring)
        let more = wanted + ["another:MAC"].compactMap(KeySpecification.init)
        #expect(parts.problem(create: true, wanted: more) == .tooManyKeys(path: parts.location.keyring))
        #expect(try bytes(parts.location.keyring) == before)
        let keeper = try parts.open(wanted: wanted)
        defer { keeper.stop() }
        #expect(keeper.keyring.count == Keyring.maximumKeys)
        #expect(throws: EncryptionError.tooManyKeys) {
            try keeper.request(.create(.mac, KeyOptions(), KeySettings()), of: "another", by: KeyActor(name: "operator"))
        }
    }

    @Test func aKeyHasNoMoreVersionsThanAreRead() throws {
        let parts = try Parts()
        let keeper = try parts.open(create: true)
        keeper.stop()
        let maker = KeyMaker(publishLead: 0)
        let specification = try #require(KeySpecification(name: "k", kind: .mac))
        var key = try #require(try maker.first(specification, now: 1))
        while key.versions.count < Keyring.maximumVersions { key.append(try maker.next(of: key, now: 1)) }
        let full = EncryptionError.tooManyVersions(key: "k")
        #expect(throws: full) { try KeyChange.rotate.check("k", key, isWanted: false, now: 1) }
        let keys = try MasterKeys.open(parts.location.masterKeySource, keyring: nil, mayCreate: false)
        let codec = KeyringCodec(path: "here", masterKeys: keys, maker: maker)
        #expect(try codec.open(codec.seal(Keyring(generation: 1, keys: [key])))["k"]?.versions.count == Keyring.maximumVersions)
        key.append(try maker.next(of: key, now: 1))
        #expect(throws: KeyringProblem.tooManyVersions(key: "k", path: "here")) { try codec.seal(Keyring(generation: 1, keys: [key])) }
    }

    /// First starts of several processes on one host: one of them makes the master key, and all have it.
    @Test func theMasterKeyIsMadeOnce() async throws {
        for _ in 0..<50 {
            let directory = try TemporaryDirectory()
            let file = MasterKeyInFile(path: directory.path("master.key"))
            let ids = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<4 { group.addTask { try MasterKeys.open(file, keyring: nil, mayCreate: true).sealing.id } }
                return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["master.key"])
        }
    }

    @Test func aDirectoryThatIsNotThere() throws {
        let parts = try Parts()
        let nowhere = KeyringLocation(
            keyring: parts.directory.path("no/keyring"), masterKey: parts.directory.path("no/key"))
        #expect(throws: KeyringProblem.self) {
            try KeyringKeeper.open(
                nowhere, wanted: Parts.wanted, mayCreate: true, maker: KeyMaker(publishLead: 0), report: { _ in })
        }
    }

    @Test(arguments: [
        "", "a", ":AEAD", "a:", "a:aead", "a b:AEAD", "../x:AEAD", "a:AEAD:SIGN", "é:SIGN", "a:SIGN:", "a:SIGN:HS256",
        "a:SIGN:es256", "a:MAC:EdDSA",
    ])
    func malformedSpecifications(_ text: String) {
        #expect(KeySpecification(text) == nil)
    }
}
