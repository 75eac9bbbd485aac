import Foundation
import RPCTransport
import TestSupport
import X509

/// Certificates, keys and the authorities of several processes, as files that a test replaces while they run.
final class RotatingCertificates: Sendable {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// All processes believe these.
    func believe(_ authorities: CertificateFactory...) throws {
        try write(try authorities.map { try $0.authority() + "\n" }.joined(), to: "ca.pem")
    }

    /// A new certificate and key for the service.
    @discardableResult
    func issue(_ service: String, by authority: CertificateFactory) throws -> CertificateFactory.Issued {
        let issued = try authority.issue(service: service)
        try write(issued.key, to: "\(service).key", mode: 0o600)
        try write(issued.certificate, to: "\(service).pem")
        return issued
    }

    func write(_ text: String, to name: String, mode: Int = 0o644) throws {
        let path = directory.path(name)
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    func path(_ name: String) -> String { directory.path(name) }

    func files(_ service: String) -> TLSFiles {
        TLSFiles(
            certificate: directory.path("\(service).pem"), key: directory.path("\(service).key"),
            authority: directory.path("ca.pem"))
    }

    func identity(_ service: String) throws -> TLSIdentity { try TLSIdentity(files(service)) }
}
