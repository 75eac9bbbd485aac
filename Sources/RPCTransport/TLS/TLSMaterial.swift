import NIOCore
import NIOSSL
import RPCCore
import SwiftASN1
import WireCore
import X509

/// The files that a process proves itself with.
package struct TLSFiles: Sendable, Hashable {
    /// PEM: the process's certificate, then intermediate ones if there are any.
    package let certificate: String
    /// PEM: its private key; nobody but the owner may have access.
    package let key: String
    /// PEM: the authorities whose certificates are believed.
    package let authority: String

    package init(certificate: String, key: String, authority: String) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }
}

/// What the files of a process say at one time, ready for use.
struct TLSMaterial: Sendable {
    let identity: PeerIdentity
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    /// Own certificate.
    let leaf: Certificate
    let authorities: [Certificate]
    let serverContext: NIOSSLContext
    let clientContext: NIOSSLContext

    /// - Throws: `TLSConfigurationError` that names the file.
    init(_ files: TLSFiles) throws(TLSConfigurationError) {
        chain = try Self.certificates(in: files.certificate)
        let trusted = try Self.certificates(in: files.authority)
        key = try Self.key(in: files.key)
        let parsed = try Self.parse(chain, files.certificate)
        authorities = try Self.parse(trusted, files.authority)
        let named = try Self.identity(parsed, authorities, files)
        leaf = named.leaf
        identity = named.identity
        do {
            serverContext = try NIOSSLContext(configuration: Self.server(chain, key, trusted))
            clientContext = try NIOSSLContext(configuration: Self.client(chain, key, trusted))
        } catch {
            throw TLSConfigurationError(file: files.key, problem: "does not belong to \(files.certificate).")
        }
    }

    /// Whether one of the authorities has issued the certificate itself.
    func hasIssued(_ certificate: Certificate) -> Bool {
        authorities.contains {
            $0.subject == certificate.issuer && $0.publicKey.isValidSignature(certificate.signature, for: certificate)
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
        _ chain: [Certificate], _ authorities: [Certificate], _ files: TLSFiles
    ) throws(TLSConfigurationError) -> (leaf: Certificate, identity: PeerIdentity) {
        guard let leaf = chain.first else {
            throw TLSConfigurationError(file: files.certificate, problem: "holds no PEM certificate.")
        }
        let issuers = chain.dropFirst() + authorities
        guard issuers.contains(where: { $0.publicKey.isValidSignature(leaf.signature, for: leaf) }) else {
            throw TLSConfigurationError(
                file: files.certificate, problem: "was not issued by the authority in \(files.authority).")
        }
        do {
            return (leaf, try PeerIdentity(certificate: leaf))
        } catch {
            throw TLSConfigurationError(file: files.certificate, problem: error.description)
        }
    }

    private static func parse(
        _ certificates: [NIOSSLCertificate], _ file: String
    ) throws(TLSConfigurationError) -> [Certificate] {
        var parsed: [Certificate] = []
        for certificate in certificates {
            do {
                parsed.append(try Certificate(derEncoded: certificate.toDERBytes()))
            } catch {
                throw TLSConfigurationError(file: file, problem: "holds a certificate that does not parse.")
            }
        }
        return parsed
    }
}
