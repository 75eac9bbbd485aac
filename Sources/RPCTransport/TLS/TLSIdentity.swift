import NIOCore
package import NIOSSL
package import RPCCore
import SwiftASN1
import WireCore
import X509

/// What a process proves who it is with, and whom it believes: its certificate and key, and the authority.
///
/// TLS 1.3 only, ALPN `lockstep/1`, and on both sides a certificate of the authority is required. Hosts and addresses
/// mean nothing: a peer is who its SAN URI says.
package struct TLSIdentity: Sendable {
    /// Own name, from the certificate.
    package let identity: PeerIdentity
    package let serverContext: NIOSSLContext
    package let clientContext: NIOSSLContext

    /// - Parameters:
    ///   - certificateFile: PEM: the process's certificate, then intermediate ones if there are any.
    ///   - keyFile: PEM: its private key; nobody but the owner may have access.
    ///   - authorityFile: PEM: the authorities whose certificates are believed.
    /// - Throws: `TLSConfigurationError` that names the file.
    package init(certificateFile: String, keyFile: String, authorityFile: String) throws(TLSConfigurationError) {
        let chain = try Self.certificates(in: certificateFile)
        let authorities = try Self.certificates(in: authorityFile)
        let key = try Self.key(in: keyFile)
        self.identity = try Self.identity(chain, certificateFile, authorities, authorityFile)
        do {
            self.serverContext = try NIOSSLContext(configuration: Self.server(chain, key, authorities))
            self.clientContext = try NIOSSLContext(configuration: Self.client(chain, key, authorities))
        } catch {
            throw TLSConfigurationError(file: keyFile, problem: "does not belong to \(certificateFile).")
        }
    }

    // MARK: Configuration

    private static func server(
        _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey, _ authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        restrict(&configuration, authorities)
        return configuration
    }

    private static func client(
        _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey, _ authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(key)
        restrict(&configuration, authorities)
        return configuration
    }

    private static let shutdownTimeout = TimeAmount.milliseconds(500)

    /// What both sides insist on. The host name is not checked: the SAN URI is, after the handshake.
    private static func restrict(_ configuration: inout TLSConfiguration, _ authorities: [NIOSSLCertificate]) {
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        configuration.applicationProtocols = [WireProtocol.alpn]
        configuration.trustRoots = .certificates(authorities)
        configuration.certificateVerification = .noHostnameVerification
        configuration.renegotiationSupport = .none
        // A peer that stands still must not outlast what a drain and a process may take.
        configuration.shutdownTimeout = shutdownTimeout
    }

    // MARK: Files

    private static func certificates(in file: String) throws(TLSConfigurationError) -> [NIOSSLCertificate] {
        let bytes = try KeyFile.read(file)
        let found: [NIOSSLCertificate]
        do {
            found = try NIOSSLCertificate.fromPEMBytes(bytes)
        } catch {
            throw TLSConfigurationError(file: file, problem: "holds no PEM certificate.")
        }
        guard !found.isEmpty else { throw TLSConfigurationError(file: file, problem: "holds no PEM certificate.") }
        return found
    }

    private static func key(in file: String) throws(TLSConfigurationError) -> NIOSSLPrivateKey {
        let bytes = try KeyFile.read(file, isPrivate: true)
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
        } catch {
            throw TLSConfigurationError(file: file, problem: "holds no PEM private key without a passphrase.")
        }
    }

    /// The name in the certificate, once it is clear that peers will believe it.
    private static func identity(
        _ chain: [NIOSSLCertificate], _ file: String, _ authorities: [NIOSSLCertificate], _ authorityFile: String
    ) throws(TLSConfigurationError) -> PeerIdentity {
        guard let first = chain.first else {
            throw TLSConfigurationError(file: file, problem: "holds no PEM certificate.")
        }
        let leaf = try parse(first, file)
        let issuers = try parse(Array(chain.dropFirst()), file) + parse(authorities, authorityFile)
        guard issuers.contains(where: { $0.publicKey.isValidSignature(leaf.signature, for: leaf) }) else {
            throw TLSConfigurationError(file: file, problem: "was not issued by the authority in \(authorityFile).")
        }
        do {
            return try PeerIdentity(certificate: leaf)
        } catch {
            throw TLSConfigurationError(file: file, problem: error.description)
        }
    }

    private static func parse(
        _ certificates: [NIOSSLCertificate], _ file: String
    ) throws(TLSConfigurationError) -> [Certificate] {
        var parsed: [Certificate] = []
        for certificate in certificates { parsed.append(try parse(certificate, file)) }
        return parsed
    }

    private static func parse(
        _ certificate: NIOSSLCertificate, _ file: String
    ) throws(TLSConfigurationError) -> Certificate {
        do {
            return try Certificate(derEncoded: certificate.toDERBytes())
        } catch {
            throw TLSConfigurationError(file: file, problem: "holds a certificate that does not parse.")
        }
    }
}
