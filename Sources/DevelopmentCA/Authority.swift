import Crypto
package import Foundation
import RPCCore
import SwiftASN1
package import X509

/// A development certificate authority: one P-256 key and its self-signed certificate.
package struct Authority: Sendable {
    package let certificate: Certificate
    let key: P256.Signing.PrivateKey

    /// How long the authority's own certificate is valid, and those that it issues.
    static let lifetime = TimeInterval(10 * 365 * 86_400)
    static let leafLifetime = TimeInterval(90 * 86_400)
    /// Certificates begin this much in the past, for clocks that are behind.
    private static let backdating = TimeInterval(3600)

    init(certificate: Certificate, key: P256.Signing.PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// A new one.
    package init(now: Date) throws {
        let key = P256.Signing.PrivateKey()
        // A name of its own for each authority: with one for all, a verifier that holds several tries the wrong one.
        let id = Certificate.PublicKey(key.publicKey).subjectPublicKeyInfoBytes.prefix(5).dropFirst()
        let name = try DistinguishedName {
            OrganizationName("Lockstep")
            CommonName("Lockstep development CA \(id.map { String($0, radix: 16) }.joined())")
        }
        let publicKey = Certificate.PublicKey(key.publicKey)
        self.key = key
        self.certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: now - Self.backdating, notValidAfter: now + Self.lifetime, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: publicKey)
            },
            issuerPrivateKey: Certificate.PrivateKey(key))
    }

    /// A certificate with the identity's SAN URI for `publicKey`.
    package func issue(_ kind: CertificateKind, for publicKey: Certificate.PublicKey, now: Date) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: now - Self.backdating,
            notValidAfter: min(now + Self.leafLifetime, certificate.notValidAfter), issuer: certificate.subject,
            subject: try DistinguishedName {
                OrganizationName("Lockstep")
                CommonName(kind.fileName)
            },
            signatureAlgorithm: .ecdsaWithSHA256, extensions: try extensions(kind, publicKey),
            issuerPrivateKey: Certificate.PrivateKey(key))
    }

    /// A certificate as right or as wrong as tests of peers want it.
    ///
    /// - Parameters:
    ///   - uris: The SAN URIs.
    ///   - usages: What TLS may use it for.
    ///   - validity: From when until when it holds.
    package func issue(
        uris: [String], usages: [ExtendedKeyUsage.Usage], validity: Range<Date>,
        for publicKey: Certificate.PublicKey
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: validity.lowerBound, notValidAfter: validity.upperBound, issuer: certificate.subject,
            subject: try DistinguishedName { OrganizationName("Lockstep") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(usages)
                if !uris.isEmpty { SubjectAlternativeNames(uris.map { .uniformResourceIdentifier($0) }) }
            },
            issuerPrivateKey: Certificate.PrivateKey(key))
    }

    private func extensions(
        _ kind: CertificateKind, _ publicKey: Certificate.PublicKey
    ) throws -> Certificate.Extensions {
        let issuer = try certificate.extensions.subjectKeyIdentifier
        var all = try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            SubjectKeyIdentifier(hash: publicKey)
            AuthorityKeyIdentifier(keyIdentifier: issuer?.keyIdentifier)
            SubjectAlternativeNames(Self.names(kind))
        }
        if case .service = kind {
            let usage = try ExtendedKeyUsage([ExtendedKeyUsage.Usage.serverAuth, .clientAuth])
            try all.append(Certificate.Extension(usage, critical: false))
        }
        return all
    }

    private static func names(_ kind: CertificateKind) -> [GeneralName] {
        let uri = GeneralName.uniformResourceIdentifier(kind.identity.uri)
        guard kind.isReachedByName else { return [uri] }
        let loopback = ASN1OctetString(contentBytes: [127, 0, 0, 1])
        let loopback6 = ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        return [uri, .dnsName("localhost"), .ipAddress(loopback), .ipAddress(loopback6)]
    }
}
