package import RPCCore
import SwiftASN1
package import X509

/// Why a certificate names no service.
package struct IdentityError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

extension PeerIdentity {
    /// The service that a certificate names.
    ///
    /// Exactly one SAN URI of the `spiffe` scheme is allowed (X.509-SVID, section 2): with two, which one counts would
    /// be anybody's guess.
    ///
    /// - Throws: `IdentityError` when there is none, more than one, or one outside the trust domain.
    package init(certificate: Certificate) throws(IdentityError) {
        let uris = try Self.spiffeURIs(of: certificate)
        guard let uri = uris.first else {
            throw IdentityError(description: "The certificate has no spiffe:// SAN URI.")
        }
        guard uris.count == 1 else {
            throw IdentityError(description: "The certificate has \(uris.count) spiffe:// SAN URIs, not one.")
        }
        guard let identity = PeerIdentity(uri: uri) else {
            throw IdentityError(description: "The certificate's SAN URI does not begin with \(Self.prefix) and a name.")
        }
        self = identity
    }

    /// The same from DER.
    package init(certificate der: [UInt8]) throws(IdentityError) {
        let certificate: Certificate
        do {
            certificate = try Certificate(derEncoded: der)
        } catch {
            throw IdentityError(description: "The certificate does not parse.")
        }
        try self.init(certificate: certificate)
    }

    private static func spiffeURIs(of certificate: Certificate) throws(IdentityError) -> [String] {
        let names: SubjectAlternativeNames?
        do {
            names = try certificate.extensions.subjectAlternativeNames
        } catch {
            throw IdentityError(description: "The certificate's alternative names do not parse.")
        }
        return (names ?? SubjectAlternativeNames([])).compactMap { name in
            guard case .uniformResourceIdentifier(let uri) = name else { return nil }
            return uri.lowercased().hasPrefix("spiffe:") ? uri : nil
        }
    }
}
