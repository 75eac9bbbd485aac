import FoundationEssentials
import LibCrypto
import RPCCore
import RPCTransport
import SwiftASN1
import X509

/// Why the gateway's identity key cannot be used: a line that names the file.
package struct IdentityKeyError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

/// The certificate under which the gateway signs who the end user is: Ed25519, with the gateway's own SAN URI.
struct IdentityCertificate {
    let issuer: PeerIdentity
    let key: Ed25519.PublicKey

    /// - Parameters:
    ///   - authorityFile: The authority that must have issued it; nil to believe the file itself.
    ///   - now: Seconds since 1970, within the certificate's validity.
    /// - Throws: `IdentityKeyError`.
    init(file: String, authorityFile: String?, now: Int64) throws(IdentityKeyError) {
        let certificate = try Self.certificate(in: file)
        if let authorityFile { try Self.check(certificate, file, issuedBy: authorityFile) }
        try Self.check(certificate, file, now: now)
        self.issuer = try Self.issuer(of: certificate, file)
        self.key = try Self.key(of: certificate, file)
    }

    private static func certificate(in file: String) throws(IdentityKeyError) -> Certificate {
        guard let first = try certificates(in: file).first else {
            throw IdentityKeyError(description: "\(file) holds no PEM certificate")
        }
        return first
    }

    private static func certificates(in file: String) throws(IdentityKeyError) -> [Certificate] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw IdentityKeyError(description: "\(file) cannot be read; `lockstep certs` makes it")
        }
        do {
            return try PEMDocument.parseMultiple(pemString: String(decoding: data, as: UTF8.self))
                .map { try Certificate(pemDocument: $0) }
        } catch {
            throw IdentityKeyError(description: "\(file) holds no PEM certificate")
        }
    }

    private static func check(
        _ certificate: Certificate, _ file: String, issuedBy authorityFile: String
    ) throws(IdentityKeyError) {
        let isIssued = try Self.certificates(in: authorityFile).contains { authority in
            authority.subject == certificate.issuer
                && authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        }
        guard isIssued else { throw IdentityKeyError(description: "\(file) was not issued by the authority in \(authorityFile)") }
    }

    private static func check(_ certificate: Certificate, _ file: String, now: Int64) throws(IdentityKeyError) {
        let date = Date(timeIntervalSince1970: TimeInterval(now))
        guard certificate.notValidBefore <= date, date < certificate.notValidAfter else {
            throw IdentityKeyError(description: "\(file) is not valid today; `lockstep certs` renews it")
        }
    }

    private static func issuer(of certificate: Certificate, _ file: String) throws(IdentityKeyError) -> PeerIdentity {
        guard let identity = try? PeerIdentity(certificate: certificate), identity.service == IdentityToken.issuer
        else {
            throw IdentityKeyError(description: "\(file) does not name \(PeerIdentity.prefix)\(IdentityToken.issuer)")
        }
        return identity
    }

    private static func key(
        of certificate: Certificate, _ file: String
    ) throws(IdentityKeyError) -> Ed25519.PublicKey {
        // Of the kinds of key that certificates can hold here, only Ed25519's is this short.
        let raw = certificate.publicKey.subjectPublicKeyInfoBytes
        guard raw.count == Ed25519.keyCount, let key = try? Ed25519.PublicKey(rawRepresentation: raw) else {
            throw IdentityKeyError(description: "\(file) holds no Ed25519 key")
        }
        return key
    }
}
