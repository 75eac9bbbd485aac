import DevelopmentCA
import Foundation
import RPCCore
import RPCTransport
import SwiftASN1
import Testing
import TestSupport
import X509

@Suite struct DevelopmentCertificatesTests {
    static let names = ["gateway", "auth", "token", "email", "encryption", "operator"]
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @discardableResult
    func ensure(force: Bool = false, now: Date = Date()) throws -> [DevelopmentCertificates.Report] {
        try DevelopmentCertificates(directory: directory.url.path, now: now).ensure(force: force)
    }

    func contents(_ name: String) throws -> String { try String(contentsOfFile: directory.path(name), encoding: .utf8) }

    func certificate(_ name: String) throws -> Certificate { try Certificate(pemEncoded: contents(name)) }

    func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: directory.path(name))
        return try #require(attributes[.posixPermissions] as? NSNumber).intValue
    }

    var everything: [String: String] {
        get throws {
            let files = try FileManager.default.subpathsOfDirectory(atPath: directory.url.path)
            return try Dictionary(
                uniqueKeysWithValues: files.filter { $0.contains(".") }.map { ($0, try contents($0)) })
        }
    }

    @Test func aFirstRunMakesEverythingAndASecondKeepsIt() throws {
        #expect(try ensure().allSatisfy { $0.outcome == .made })
        let before = try everything
        #expect(before.count == 2 + 2 * 7 + 1)
        #expect(try ensure().allSatisfy { $0.outcome == .kept })
        #expect(try everything == before)
    }

    @Test func keysAreTheOwnersAlone() throws {
        try ensure()
        for file in try everything.keys where file.hasSuffix(".key") {
            #expect(try mode(file) == 0o600, "\(file)")
        }
        #expect(try contents("master.key").trimmingCharacters(in: .newlines).count == 64)
    }

    @Test(arguments: names)
    func eachServiceHasAnIdentityThatTransportTakes(name: String) throws {
        try ensure()
        let tls = try TLSIdentity(
            certificateFile: directory.path("certs/\(name).pem"), keyFile: directory.path("certs/\(name).key"),
            authorityFile: directory.path("ca.pem"))
        #expect(tls.identity.service == name)
    }

    @Test(arguments: names.map { "certs/\($0).pem" } + ["certs/gateway-identity.pem"])
    func swiftCertificatesVerifiesEach(name: String) async throws {
        try ensure()
        let roots = CertificateStore([try certificate("ca.pem")])
        var verifier = Verifier(rootCertificates: roots) { RFC5280Policy() }
        let result = await verifier.validate(leaf: try certificate(name), intermediates: CertificateStore())
        guard case .validCertificate = result else { return _ = Issue.record("\(name): \(result)") }
    }

    @Test func theGatewayIsReachedByNameAndTheOthersAreNot() throws {
        try ensure()
        let gateway = try #require(try certificate("certs/gateway.pem").extensions.subjectAlternativeNames)
        #expect(gateway.contains(.dnsName("localhost")))
        let auth = try #require(try certificate("certs/auth.pem").extensions.subjectAlternativeNames)
        #expect(Array(auth) == [.uniformResourceIdentifier("spiffe://lockstep.local/service/auth")])
        let usage = try #require(try certificate("certs/auth.pem").extensions.extendedKeyUsage)
        #expect(Set(usage) == [.serverAuth, .clientAuth])
        #expect(try certificate("certs/gateway-identity.pem").extensions.extendedKeyUsage == nil)
    }

    @Test func nearTheirEndCertificatesAreRenewedAndTheAuthorityStays() throws {
        try ensure()
        let before = try everything
        let later = Date() + 61 * 86_400
        let outcomes = Dictionary(
            uniqueKeysWithValues: try ensure(now: later).map { (URL(fileURLWithPath: $0.file).lastPathComponent, $0.outcome) })
        #expect(outcomes["ca.pem"] == .kept)
        #expect(outcomes["auth.pem"] == .renewed)
        #expect(outcomes["master.key"] == .kept)
        #expect(try contents("certs/auth.key") != before["certs/auth.key"])
        #expect(try contents("ca.pem") == before["ca.pem"])
    }

    @Test func forceMakesAllAnewButTheMasterKey() throws {
        try ensure()
        let before = try everything
        try ensure(force: true)
        let after = try everything
        #expect(after["master.key"] == before["master.key"])
        #expect(after.filter { before[$0.key] == $0.value }.map(\.key) == ["master.key"])
    }

    @Test(arguments: [
        "certs/auth.key", "certs/auth.pem",
    ])
    func whatIsDamagedIsMadeAnew(file: String) throws {
        try ensure()
        try "garbage".write(toFile: directory.path(file), atomically: true, encoding: .utf8)
        let report = try #require(try ensure().first { $0.file.hasSuffix("auth.pem") })
        #expect(report.outcome == .renewed)
    }

    @Test func aNewAuthorityRenewsAllThatItIssues() throws {
        try ensure()
        try FileManager.default.removeItem(atPath: directory.path("ca.key"))
        let reports = try ensure()
        #expect(reports.filter { $0.file.hasSuffix(".pem") }.allSatisfy { $0.outcome == .renewed })
    }

    @Test func aDirectoryThatCannotBeWrittenIsNamed() throws {
        try "a file".write(toFile: directory.path("state"), atomically: true, encoding: .utf8)
        let error = try #require(throws: StateFileError.self) {
            try DevelopmentCertificates(directory: directory.path("state")).ensure()
        }
        #expect(error.description.contains(directory.path("state")))
    }

    // MARK: By somebody else's eyes

    static let openssl = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first(
        where: FileManager.default.isExecutableFile(atPath:))

    @Test(.enabled(if: openssl != nil, "needs the openssl command"))
    func opensslVerifiesEach() throws {
        try ensure()
        for name in Self.names {
            for purpose in ["sslserver", "sslclient"] {
                let arguments = ["-purpose", purpose, "-x509_strict", directory.path("certs/\(name).pem")]
                #expect(try run(["verify", "-CAfile", directory.path("ca.pem")] + arguments) == 0, "\(name) \(purpose)")
            }
        }
        let identity = ["-x509_strict", directory.path("certs/gateway-identity.pem")]
        #expect(try run(["verify", "-CAfile", directory.path("ca.pem")] + identity) == 0)
        let host = ["-verify_hostname", "localhost", directory.path("certs/gateway.pem")]
        #expect(try run(["verify", "-CAfile", directory.path("ca.pem")] + host) == 0)
        #expect(try run(["pkey", "-noout", "-in", directory.path("certs/gateway-identity.key")]) == 0)
        #expect(try run(["pkey", "-noout", "-check", "-in", directory.path("certs/auth.key")]) == 0)
    }

    private func run(_ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.openssl))
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
