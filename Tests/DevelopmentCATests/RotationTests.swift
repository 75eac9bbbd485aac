import DevelopmentCA
import Foundation
import RPCTransport
import SwiftASN1
import TestSupport
import Testing
import X509

/// The authority is replaced in steps, and between two neighbouring steps everybody believes everybody.
@Suite struct RotationTests {
    private typealias Step = DevelopmentCertificates.RotationStep
    private static let names = DevelopmentCertificatesTests.names
    private let directory: TemporaryDirectory
    private let certificates: DevelopmentCertificates

    init() throws {
        directory = try TemporaryDirectory()
        certificates = DevelopmentCertificates(directory: directory.url.path)
        _ = try certificates.ensure()
    }

    private func text(_ name: String) throws -> String {
        try String(contentsOfFile: directory.path(name), encoding: .utf8)
    }

    private func leaf(_ name: String) throws -> Certificate { try Certificate(pemEncoded: text("certs/\(name).pem")) }

    private func authorities() throws -> [Certificate] {
        try PEMDocument.parseMultiple(pemString: text("ca.pem")).map { try Certificate(pemDocument: $0) }
    }

    private func identity(_ name: String) throws -> TLSIdentity {
        try TLSIdentity(
            certificateFile: directory.path("certs/\(name).pem"), keyFile: directory.path("certs/\(name).key"),
            authorityFile: directory.path("ca.pem"))
    }

    @Test("Three steps, then the next rotation may begin")
    func steps() throws {
        var done: [Step] = []
        for _ in 0..<6 {
            done.append(certificates.nextStep)
            _ = try certificates.rotate()
        }
        #expect(done == Step.allCases + Step.allCases)
        #expect(try authorities().count == 1)
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.url.path)
        #expect(!left.contains { $0.contains("next") || $0.hasSuffix(".new") })
    }

    @Test("A process that is a step behind, or ahead, believes and is believed")
    func neighbours() throws {
        var before = try Self.names.map(identity)
        for step in Step.allCases {
            let shownBefore = try Self.names.map(leaf)
            _ = try certificates.rotate()
            let after = try Self.names.map(identity)
            for (behind, ahead) in zip(before, after) {
                for shown in try Self.names.map(leaf) {
                    #expect(behind.accepts(shown), "\(step)")
                    #expect(ahead.accepts(shown), "\(step)")
                }
                for shown in shownBefore { #expect(ahead.accepts(shown), "\(step)") }
            }
            before = after
        }
    }

    @Test("At the end the old authority and all that it issued are believed no more")
    func end() throws {
        let (old, key) = (try leaf("auth"), try text("certs/auth.key"))
        let authority = try authorities()
        for _ in Step.allCases { _ = try certificates.rotate() }
        #expect(try authorities().count == 1)
        #expect(try authorities() != authority)
        #expect(try !identity("gateway").accepts(old))
        #expect(try text("certs/auth.key") != key)
        for name in Self.names { #expect(try identity("gateway").accepts(leaf(name))) }
        #expect(try certificates.ensure().allSatisfy { $0.outcome == .kept })
    }

    @Test("What services have read once and do not read again stays: the gateway's signing key, the master key")
    func keptKeys() throws {
        let keys = ["certs/gateway-identity.key", "master.key"]
        let before = try keys.map(text)
        let certificate = try text("certs/gateway-identity.pem")
        for _ in Step.allCases { _ = try certificates.rotate() }
        #expect(try keys.map(text) == before)
        #expect(try text("certs/gateway-identity.pem") != certificate)
    }

    @Test("A rotation that stopped halfway through issuing goes on")
    func interrupted() throws {
        _ = try certificates.rotate()
        let next = try text("ca.next.key")
        let nextPEM = try text("ca.next.pem")
        let (pem, key) = (try text("certs/auth.pem"), try text("certs/auth.key"))
        _ = try certificates.rotate()
        // As if the process had ended before it issued auth's certificate, and took the next authority's files away.
        try next.write(toFile: directory.path("ca.next.key"), atomically: true, encoding: .utf8)
        try nextPEM.write(toFile: directory.path("ca.next.pem"), atomically: true, encoding: .utf8)
        try pem.write(toFile: directory.path("certs/auth.pem"), atomically: true, encoding: .utf8)
        try key.write(toFile: directory.path("certs/auth.key"), atomically: true, encoding: .utf8)
        for file in ["ca.next.key", "certs/auth.key"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: directory.path(file))
        }
        #expect(certificates.nextStep == .issue)
        _ = try certificates.rotate()
        #expect(certificates.nextStep == .retire)
        _ = try certificates.rotate()
        for name in Self.names { #expect(try identity("gateway").accepts(leaf(name))) }
    }

    @Test("`certs` in the middle of a rotation keeps what is good; `--force` ends the rotation")
    func ensureMeanwhile() throws {
        _ = try certificates.rotate()
        let before = try text("ca.pem")
        #expect(try certificates.ensure().allSatisfy { $0.outcome == .kept })
        #expect(try text("ca.pem") == before)
        #expect(certificates.nextStep == .issue)
        _ = try certificates.ensure(force: true)
        #expect(certificates.nextStep == .announce)
        #expect(try authorities().count == 1)
    }

    @Test("Without an authority there is nothing to rotate, and the error says what to do")
    func nothing() throws {
        try FileManager.default.removeItem(atPath: directory.path("ca.key"))
        let error = #expect(throws: StateFileError.self) { try certificates.rotate() }
        #expect(error?.description.contains("lockstep certs") == true)
    }
}
