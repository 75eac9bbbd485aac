import Foundation
import NIOSSL
import RPCTransport
import TestSupport
import WireCore

/// The authority of a test run, and what it has issued, as files and as TLS configurations.
final class TestCertificates: Sendable {
    let authority: CertificateFactory
    private let directory: TemporaryDirectory
    private let authorityFile: String

    /// One for all tests: making keys takes time.
    static let shared = Result { try TestCertificates() }

    init() throws {
        authority = try CertificateFactory()
        directory = try TemporaryDirectory()
        authorityFile = directory.path("ca.pem")
        try Data(authority.authority().utf8).write(to: URL(filePath: authorityFile))
    }

    func path(_ name: String) -> String { directory.path(name) }

    /// The identity of the service of that name, by way of files like those of a real process.
    func identity(_ service: String) throws -> TLSIdentity {
        try identity(try authority.issue(service: service))
    }

    func identity(_ issued: CertificateFactory.Issued, keyMode: Int = 0o600) throws -> TLSIdentity {
        let (certificate, key) = try write(issued, keyMode: keyMode)
        return try TLSIdentity(certificateFile: certificate, keyFile: key, authorityFile: authorityFile)
    }

    func write(_ issued: CertificateFactory.Issued, keyMode: Int = 0o600) throws -> (certificate: String, key: String) {
        let name = UUID().uuidString
        let (certificate, key) = (directory.path("\(name).pem"), directory.path("\(name).key"))
        try Data(issued.certificate.utf8).write(to: URL(filePath: certificate))
        try Data(issued.key.utf8).write(to: URL(filePath: key))
        try FileManager.default.setAttributes([.posixPermissions: keyMode], ofItemAtPath: key)
        return (certificate, key)
    }

    /// A client's TLS as nobody should configure it, for peers that misbehave.
    func rawClient(
        _ issued: CertificateFactory.Issued?, _ change: (inout TLSConfiguration) -> Void = { _ in }
    ) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(authority.authority().utf8)))
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = [WireProtocol.alpn]
        if let issued {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(issued.certificate.utf8))
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(issued.key.utf8), format: .pem))
        }
        change(&configuration)
        return try NIOSSLContext(configuration: configuration)
    }
}
