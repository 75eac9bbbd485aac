import Foundation
import TestSupport
import Testing

@testable import EncryptionService

/// Hashes exchanged with PyPI's bcrypt, both ways, with salts that are new each time.
@Suite struct BcryptExchangeTests {
    private struct Exchange: Decodable {
        struct Made: Decodable {
            let password: String
            let hash: String
        }
        let hashes: [Made]
        let checks: [Bool]
    }

    private struct Asked: Encodable {
        struct Check: Encodable {
            let password: String
            let hash: String
        }
        let hash: [String]
        let check: [Check]
    }

    private static let passwords = [
        "correct horse battery staple", "grüße an alle 🩺", "\u{FF}\u{80}", String(repeating: "ä", count: 36),
        String(repeating: "x", count: 72),
    ]

    @Test("ASVS 11.4.2: PyPI's bcrypt verifies our hashes, and we verify its own: $2a$, $2b$ and $2y$")
    func bothWays() throws {
        let hasher = PasswordHasher(rounds: 10)
        let ours = try Self.passwords.map { Asked.Check(password: $0, hash: try hasher.hash($0)) }
        let wrong = ours.map { Asked.Check(password: String($0.password.dropLast()) + "?", hash: $0.hash) }
        let asked = try JSONEncoder().encode(Asked(hash: Self.passwords, check: ours + wrong))
        let answer = try Python.run(
            [SupportFiles.path("vectors/exchange.py"), "bcrypt"], input: String(decoding: asked, as: UTF8.self))
        let exchange = try JSONDecoder().decode(Exchange.self, from: Data(answer.utf8))
        #expect(exchange.checks == ours.map { _ in true } + wrong.map { _ in false })
        #expect(exchange.hashes.count == Self.passwords.count * 3)
        for made in exchange.hashes {
            #expect(try hasher.verify(made.password, hash: made.hash).matches, "\(made.hash.prefix(4))")
            #expect(try !hasher.verify(made.password.dropLast() + "?", hash: made.hash).matches)
        }
        print("vectors: hashes exchanged with PyPI bcrypt: ran \(ours.count + exchange.hashes.count), skipped 0")
    }
}
