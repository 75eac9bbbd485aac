import Foundation
import NIOSSL

// Certificates that are replaced under the implementation under test.
extension CaseRun {
    /// Who it is: its files are replaced.
    private var rotating: String { role == .server ? "conformance" : "operator" }

    /// `{"rotate": {"by": "new", "believe": ["old", "new"]}}`: its certificate is of that authority from now on, and those
    /// are whom it believes. `{"rotate": {"broken": true}}`: a certificate that is none, which it must not take.
    func rotate(_ fields: inout JSONFields) async throws {
        var wanted = try JSONFields(fields.value("rotate") ?? .null, in: "\(testCase.name): rotate")
        let isBroken = try wanted.bool("broken")
        let issuer = try issuer(try wanted.string("by") ?? "old")
        let believed = try wanted.strings("believe").map { try self.issuer($0) }
        try wanted.finish()
        let link = role == .server ? try await stage.server(testCase).link : stage.client
        if isBroken {
            let file = try stage.authority.ownCredentials(rotating, of: stage.owner(testCase)).certificateFile
            try Data("no certificate".utf8).write(to: URL(fileURLWithPath: file))
            // Any failure is right, and `alive` says whether the rest is.
            let taken = try? await link.send(.reload(ConformanceReload()))
            if taken != nil { throw StepFailure("the peer takes a certificate that is none") }
        } else {
            try stage.authority.replaceCredentials(
                rotating, of: stage.owner(testCase), by: issuer, believing: believed.isEmpty ? [.old] : believed)
            _ = try await link.send(.reload(ConformanceReload()))
        }
    }

    private func issuer(_ name: String) throws -> HarnessAuthority.Issuer {
        guard let issuer = HarnessAuthority.Issuer(rawValue: name) else {
            throw CaseError("\(testCase.name): there is no authority \(name)")
        }
        return issuer
    }

    /// `{"expect_certificate": "p"}`: the other end has shown what its file holds now.
    func expectCertificate(_ fields: inout JSONFields) async throws {
        let connection = try connection(named: try fields.string("expect_certificate") ?? "p")
        let file = try stage.authority.ownCredentials(rotating, of: stage.owner(testCase)).certificateFile
        let expected = try NIOSSLCertificate.fromPEMFile(file).first?.toDERBytes()
        guard await connection.certificate() == expected else {
            throw StepFailure("it has shown another certificate than the one in \(file)")
        }
    }
}
