import Crypto
package import Foundation
import SwiftASN1
package import X509

/// An authority for tests: makes certificates as right, or as wrong, as a test wants.
package struct CertificateFactory: Sendable {
    private let key = P256.Signing.PrivateKey()
    private let name: DistinguishedName
    package let certificate: Certificate

    /// What a certificate may be used for.
    package enum Usage: Sendable {
        case server
        case client
        case both
    }

    /// A certificate and its key, both in PEM.
    package struct Issued: Sendable {
        package let certificate: String
        package let key: String
    }

    package init(name: String = "Lockstep Test Authority") throws {
        self.name = try DistinguishedName { CommonName(name) }
        self.certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: .now - 3600, notValidAfter: .now + 86_400, issuer: self.name, subject: self.name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            },
            issuerPrivateKey: .init(key))
    }

    /// In PEM.
    package func authority() throws -> String { try certificate.serializeAsPEM().pemString }

    /// A certificate for the service of that name.
    package func issue(service: String) throws -> Issued {
        try issue(uris: ["spiffe://lockstep.local/service/\(service)"])
    }

    /// - Parameters:
    ///   - uris: The SAN URIs.
    ///   - from: Seconds from now at which it begins to hold.
    ///   - until: Seconds from now at which it ends to hold.
    package func issue(
        uris: [String], usage: Usage = .both, from: TimeInterval = -3600, until: TimeInterval = 86_400
    ) throws -> Issued {
        let leafKey = P256.Signing.PrivateKey()
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(leafKey.publicKey),
            notValidBefore: .now + from, notValidAfter: .now + until, issuer: name,
            subject: try DistinguishedName { CommonName("leaf") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Self.extensions(uris, usage), issuerPrivateKey: .init(key))
        return Issued(certificate: try leaf.serializeAsPEM().pemString, key: leafKey.pemRepresentation)
    }

    private static func extensions(_ uris: [String], _ usage: Usage) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage(usage.purposes)
            if !uris.isEmpty { SubjectAlternativeNames(uris.map { .uniformResourceIdentifier($0) }) }
        }
    }
}

extension CertificateFactory.Usage {
    fileprivate var purposes: [ExtendedKeyUsage.Usage] {
        switch self {
        case .server: [.serverAuth]
        case .client: [.clientAuth]
        case .both: [.serverAuth, .clientAuth]
        }
    }
}
