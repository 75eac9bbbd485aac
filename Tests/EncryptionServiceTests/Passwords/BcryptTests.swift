import Foundation
import LibCrypto
import RPCCore
import Synchronization
import Testing

@testable import EncryptionService

@Suite struct BcryptTests {
    private struct File: Decodable {
        struct Vector: Decodable {
            var setting: String
            var hash: String
            var phrase_hex: String
        }
        var vectors: [Vector]
    }

    /// libxcrypt's known answers, at their own cost of 4 and 5, on every core.
    @Test("ASVS 11.4.2: libxcrypt's known answers of bcrypt")
    func knownAnswers() async throws {
        let url = try #require(
            Bundle.module.url(forResource: "libxcrypt_known_answers", withExtension: "json", subdirectory: "Vectors"))
        let vectors = try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).vectors
        let wrong = try await withThrowingTaskGroup(of: [String].self) { group in
            for start in stride(from: 0, to: vectors.count, by: 46) {
                let part = vectors[start..<min(start + 46, vectors.count)]
                group.addTask { try part.compactMap(Self.wrong) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        print("vectors: libxcrypt bcrypt known answers: ran \(vectors.count), skipped 0")
        #expect(vectors.count == 736)
        #expect(wrong == [])
    }

    private static func wrong(_ vector: File.Vector) throws -> String? {
        let phrase = try #require(Hex.decode(vector.phrase_hex))
        return Bcrypt.hash(phrase, setting: vector.setting) == vector.hash ? nil : vector.hash
    }

    private struct Peer: Decodable {
        struct Vector: Decodable {
            var password: String
            var hash: String
        }
        var vectors: [Vector]
    }

    /// Hashes of PyPI's bcrypt, which shares no code with libxcrypt.
    @Test func anIndependentPeer() throws {
        let url = try #require(
            Bundle.module.url(forResource: "pypi_bcrypt", withExtension: "json", subdirectory: "Vectors"))
        let vectors = try JSONDecoder().decode(Peer.self, from: Data(contentsOf: url)).vectors
        for vector in vectors {
            #expect(try PasswordHasher().verify(vector.password, hash: vector.hash).matches)
        }
        print("vectors: PyPI bcrypt hashes: ran \(vectors.count), skipped 0")
        #expect(vectors.count == 10)
    }

    /// Debian's perl calls the system's `crypt`: another caller of the library, both ways.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/perl"), "perl is not installed"))
    func interoperatesWithTheSystem() throws {
        let hasher = PasswordHasher(rounds: 10)
        let password = "grüße an alle 🩺"
        let ours = try hasher.hash(password)
        #expect(try perlCrypt(password, ours) == ours)
        let theirs = try perlCrypt(password, "$2b$10$abcdefghijklmnopqrstuu")
        #expect(try hasher.verify(password, hash: theirs) == (true, false))
        #expect(try hasher.verify(password + "x", hash: theirs) == (false, false))
    }

    private func perlCrypt(_ password: String, _ setting: String) throws -> String {
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: "/usr/bin/perl")
        process.arguments = ["-e", "local $/; my $p = <STDIN>; print crypt($p, $ARGV[0])", setting]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(password.utf8))
        try input.fileHandleForWriting.close()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: text, as: UTF8.self)
    }
}

@Suite struct PasswordHasherTests {
    private let hasher = PasswordHasher(rounds: 10)

    @Test func roundTrip() throws {
        let hash = try hasher.hash("correct horse battery")
        #expect(hash.hasPrefix("$2b$10$") && hash.count == 60)
        #expect(try hasher.verify("correct horse battery", hash: hash) == (true, false))
        #expect(try hasher.verify("correct horse batterY", hash: hash) == (false, false))
        #expect(try hasher.hash("correct horse battery") != hash)
    }

    @Test("ASVS 11.4.2: a hash of other rounds is to be made anew")
    func otherRoundsNeedARehash() throws {
        let hash = try PasswordHasher(rounds: 11).hash("correct horse battery")
        #expect(try hasher.verify("correct horse battery", hash: hash) == (true, true))
        #expect(try hasher.verify("wrong", hash: hash) == (false, false))
        for name in ["$2a$", "$2y$"] {
            let variant = try hasher.hash("correct horse battery").replacing("$2b$", with: name)
            #expect(try hasher.verify("correct horse battery", hash: variant) == (true, true))
            #expect(try hasher.verify("correct horse batterY", hash: variant) == (false, false))
        }
    }

    @Test("ASVS 6.3.8: a wrong password costs today's rounds, whatever rounds its hash has", arguments: [4, 5, 8, 10, 12, 14])
    func aPasswordCostsTodaysRounds(_ stored: Int) throws {
        let work = Mutex(0)
        // The digest is made up: what counts is how many rounds are asked for.
        let counting = PasswordHasher(rounds: 12) { phrase, setting in
            guard let digits = setting.split(separator: "$").dropFirst().first, let rounds = Int(digits) else { return nil }
            work.withLock { $0 += 1 << rounds }
            return "$2b$\(digits)$" + String(repeating: phrase.starts(with: "right".utf8) ? "r" : "w", count: 53)
        }
        let hash = "$2b$\(stored < 10 ? "0" : "")\(stored)$" + String(repeating: "r", count: 53)
        #expect(try counting.verify("wrong", hash: hash) == (false, false))
        #expect(work.withLock { $0 } == 1 << max(12, stored))
        work.withLock { $0 = 0 }
        // The account may be one that nobody may sign in to: a right password must not be told by its time either.
        #expect(try counting.verify("right", hash: hash) == (true, stored != 12))
        #expect(work.withLock { $0 } == 1 << max(12, stored))
    }

    /// Of the same library, which must take the settings that make up for rounds, and still not match.
    @Test func aCheaperHashIsMadeUpFor() throws {
        let cheap = try #require(Bcrypt.hash(Array("right".utf8), setting: "$2b$04$abcdefghijklmnopqrstuu"))
        #expect(try hasher.verify("right", hash: cheap) == (true, true))
        let refused = Mutex<[String]>([])
        let watched = PasswordHasher(rounds: 10) { phrase, setting in
            let hash = Bcrypt.hash(phrase, setting: setting)
            if hash == nil { refused.withLock { $0.append(setting) } }
            return hash
        }
        #expect(try watched.verify("wrong", hash: cheap) == (false, false))
        #expect(refused.withLock { $0 } == [])
    }

    @Test("ASVS 11.4.2: no fewer than 10 rounds")
    func roundsHaveAFloorAndACeiling() {
        #expect(PasswordHasher().rounds == 12)
        #expect(PasswordHasher(rounds: 4).rounds == 10)
        #expect(PasswordHasher(rounds: 31).rounds == 15)
    }

    /// 72 bytes are hashed whole; one more is refused and not cut off.
    @Test(
        "ASVS 6.2.8, 6.2.9, OWASP Password Storage: 72 bytes are taken whole, 73 are refused and never cut",
        arguments: ["a", "é", "€", "🩺"])
    func seventyTwoBytes(_ character: String) throws {
        let fits = String(repeating: character, count: 72 / character.utf8.count)
        #expect(fits.utf8.count == 72)
        let hash = try hasher.hash(fits)
        #expect(try hasher.verify(fits, hash: hash).matches)
        #expect(try !hasher.verify(String(fits.dropLast()), hash: hash).matches)
        for long in [fits + "a", fits + character, String(repeating: fits, count: 10)] {
            #expect(throws: EncryptionError.password(field: "password", .tooLong)) { try hasher.hash(long) }
            #expect(throws: EncryptionError.password(field: "password", .tooLong)) {
                try hasher.verify(long, hash: hash)
            }
        }
    }

    @Test(
        "ASVS 6.2.8: a NUL byte is refused, since it would end the password",
        arguments: ["\0", "abc\0def", "abcdef\0"])
    func aNULIsRefused(_ password: String) throws {
        #expect(throws: EncryptionError.password(field: "password", .containsNUL)) { try hasher.hash(password) }
    }

    @Test func emptyIsRefused() {
        #expect(throws: EncryptionError.password(field: "password", .empty)) { try hasher.hash("") }
    }

    /// The error names the field and what is allowed, and never the password.
    @Test func theErrorIsClear() {
        let error = EncryptionError.password(field: "password", .tooLong).rpcError
        #expect(error.code == .invalidArgument)
        #expect(
            error.violations
                == [FieldViolation(field: "password", message: "It must have 72 bytes of UTF-8 at most.")])
    }

    @Test(arguments: [
        "", "x", "$2b$", "$2b$10$short", "$1$abc$def", "*0",
        "$2x$10$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m",
        "$2b$17$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m",
        "$2b$31$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m",
        "$2b$+5$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m",
        "$2b$05$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m$",
        "$2b$05$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7é",
        "$2b$03$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m",
    ])
    func malformedHashes(_ text: String) {
        #expect(throws: EncryptionError.malformedHash) { try hasher.verify("password", hash: text) }
    }
}
