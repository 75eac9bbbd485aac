import CPKCS11
import Foundation
import LibCrypto
import RPCCore
import ServiceKit
import TestSupport
import Testing

@testable import EncryptionService

/// A master key that a token's key has sealed, with SoftHSM2 as the token.
@Suite(.serialized) struct PKCS11Tests {
    /// Tokens of this process: SoftHSM reads where they are from the environment.
    private final class SoftHSM: Sendable {
        static let module = "/usr/lib/softhsm/libsofthsm2.so"
        static let shared = Result { try SoftHSM() }
        private let directory: TemporaryDirectory

        init() throws {
            directory = try TemporaryDirectory()
            let tokens = directory.path("tokens")
            try FileManager.default.createDirectory(atPath: tokens, withIntermediateDirectories: true)
            let text = "directories.tokendir = \(tokens)\nlog.level = ERROR\n"
            try text.write(toFile: directory.path("softhsm2.conf"), atomically: true, encoding: .utf8)
            setenv("SOFTHSM2_CONF", directory.path("softhsm2.conf"), 1)
        }

        func makeToken(_ label: String) throws {
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/softhsm2-util")
            process.arguments = ["--init-token", "--free", "--label", label, "--so-pin", "87654321", "--pin", "1234"]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "is `softhsm2` installed? `make deps` installs it")
        }
    }

    private func parts(_ label: String) throws -> Parts {
        try SoftHSM.shared.get().makeToken(label)
        var parts = try Parts()
        try PrivateFile.create(parts.directory.path("pin"), Array("1234\n".utf8))
        parts.location.token = PKCS11Token(
            module: SoftHSM.module, token: label, key: "lockstep", pin: .file(parts.directory.path("pin")))
        return parts
    }

    private func text(_ parts: Parts) throws -> String { try String(contentsOfFile: parts.location.masterKey, encoding: .utf8) }

    @Test func aFirstStartMakesTheKeyOnTheToken() throws {
        let parts = try parts("first")
        let keeper = try parts.open(create: true)
        let sealed = try parts.vault(keeper).encrypt([7], key: "token-vault", context: [], caller: service("token")).ciphertext
        keeper.stop()
        #expect(try text(parts).hasPrefix("pkcs11:"))
        let again = try parts.open()
        defer { again.stop() }
        #expect(try parts.vault(again).decrypt(sealed, key: "token-vault", context: [], caller: service("token")) == [7])
        // Sealed anew each time: the same bytes never give the same text.
        let token = try #require(parts.location.token)
        let bytes = [UInt8](repeating: 5, count: 32)
        let (first, second) = (try token.seal(bytes), try token.seal(bytes))
        #expect(first != second)
        #expect(try token.open(first) == bytes && token.open(second) == bytes)
    }

    /// A master key that was there as it is moves to the token by a rotation.
    @Test(.everyEngine, arguments: [false, true]) func aRotationMovesTheMasterKeyToTheToken(shared: Bool) async throws {
        var parts = try parts("move-\(Engine.current.rawValue)-\(shared)")
        if shared { parts.location.database = Redacted(try await Engine.current.freshURL(parts.directory.path("k.sqlite"))) }
        let token = parts.location.token
        parts.location.token = nil
        try parts.open(create: true).stop()
        #expect(try !text(parts).contains("pkcs11:"))
        parts.location.token = token
        let rotation = MasterKeyRotation(parts.location)
        for step in [MasterKeyRotation.Step.add, .promote, .seal, .drop] {
            #expect(try rotation.next() == step)
            #expect(try rotation.take(step))
        }
        #expect(try text(parts).hasPrefix("pkcs11:"))
        #expect(try text(parts).split(separator: "\n").count == 1)
        #expect(parts.problem() == nil)
        parts.location.token = nil
        guard case .token(_, let reason)? = parts.problem() else {
            Issue.record("opened without the token")
            return
        }
        #expect(reason.contains("encryption.pkcs11.module"))
    }

    @Test func thePINThroughAFileDescriptor() throws {
        var parts = try parts("descriptor")
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("1234\n".utf8))
        try pipe.fileHandleForWriting.close()
        let pin = InheritedPIN(descriptor: dup(pipe.fileHandleForReading.fileDescriptor))
        parts.location.token?.pin = .descriptor(pin)
        // The key is made, the master key sealed and opened, all with one PIN that could be read once.
        #expect(parts.problem(create: true) == nil)
        #expect(parts.problem() == nil)
    }

    /// Tokens lock themselves after some tries: a PIN that was refused is not tried again before somebody changes something.
    @Test func aRefusedPINIsTriedOnce() throws {
        let parts = try parts("once")
        try parts.open(create: true).stop()
        let keys = try MasterKeys.open(parts.location.masterKeySource, keyring: nil, mayCreate: false)
        let unknown = [UInt8](repeating: 7, count: 8)
        let (pin, file) = (parts.directory.path("pin"), try Data(contentsOf: URL(filePath: parts.location.masterKey)))
        try PrivateFile.replace(pin, Array("999999\n".utf8))
        try PrivateFile.replace(parts.location.masterKey, Array(file))
        #expect(throws: KeyringProblem.self) { try keys.look() }
        for _ in 0..<20 {
            #expect(try !keys.look())
            #expect(try keys.key(unknown) == nil)
        }
        try PrivateFile.replace(pin, Array("1234\n".utf8))
        #expect(try !keys.look() && keys.key(unknown) == nil)
    }

    /// A device that is away for a moment has not refused the PIN: it is asked again at the next look.
    @Test("PKCS #11 11.6: only what C_Login says of the PIN keeps it from being tried again") func whatIsAboutThePIN() {
        let refusals = (0 ... 0x200 as ClosedRange<UInt>).filter { lockstep_token_refuses_pin($0) != 0 }
        #expect(refusals == [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x102])
    }

    /// What is missing is named, with the next step; the PIN never is.
    @Test func whatIsMissingIsNamed() throws {
        let parts = try parts("errors")
        let token = try #require(parts.location.token)
        func reason(_ change: (inout PKCS11Token) -> Void) -> String {
            var other = token
            change(&other)
            do throws(KeyringProblem) {
                _ = try other.seal([UInt8](repeating: 1, count: 32))
                return ""
            } catch {
                return "\(error)"
            }
        }
        let pin = parts.directory.path("other-pin")
        try PrivateFile.create(pin, Array("999999\n".utf8))
        let rows: [(String, String)] = [
            (reason { _ in }, "no AES key labelled lockstep"),
            (reason { $0.module = "/nowhere.so" }, "cannot be loaded"),
            (reason { $0.module = "/lib/x86_64-linux-gnu/libc.so.6" }, "no C_GetFunctionList"),
            (reason { $0.token = "nobody" }, "no token labelled nobody"),
            (reason { $0.pin = .file(pin) }, "refuses the PIN (CKR 0xa0)"),
            (reason { $0.pin = .file("/nowhere") }, "no file with the PIN at /nowhere"),
            (reason { $0.pin = .descriptor(InheritedPIN(descriptor: 60_000)) }, "was not started with it"),
        ]
        for (found, expected) in rows {
            #expect(found.contains(expected), "\(found)")
            #expect(!found.contains("999999") && !found.contains("1234"))
        }
        try token.makeKey()
        try token.makeKey()
        var sealed = try token.seal([UInt8](repeating: 1, count: 32))
        sealed[20] ^= 1
        let changed = #expect(throws: KeyringProblem.self) { try token.open(sealed) }
        #expect(changed.map { "\($0)" }?.contains("does not open the master key") == true)
        #expect(throws: KeyringProblem.self) { try token.open([1, 2, 3]) }
        // A file with the PIN that others may read is none.
        chmod(parts.directory.path("pin"), 0o644)
        guard case .notPrivate? = #expect(throws: KeyringProblem.self, performing: { try token.makeKey() }) else {
            Issue.record("it was read")
            return
        }
    }
}
