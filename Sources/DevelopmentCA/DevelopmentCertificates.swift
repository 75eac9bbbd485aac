import Crypto
package import Foundation
import LibCrypto
import RPCCore
import RPCTransport
import SwiftASN1
import X509

/// Makes what a development system needs to trust itself, and renews what is about to expire.
///
///     ca.pem  ca.key  certs/NAME.pem  certs/NAME.key  certs/gateway-identity.pem/.key  master.key
///
/// Running it again changes nothing that is still good.
package struct DevelopmentCertificates {
    package enum Outcome: String, Sendable, Hashable {
        case made
        case renewed
        case kept
    }

    /// What became of one file.
    package struct Report: Sendable, Hashable {
        package let file: String
        package let outcome: Outcome
        /// Until when a certificate is valid.
        package let expires: Date?
    }

    /// Certificates with less time left than this are renewed.
    static let renewBefore = TimeInterval(30 * 86_400)
    private static let authorityRenewBefore = TimeInterval(365 * 86_400)
    private static let masterKeySize = 32

    let files: StateFiles
    let now: Date

    package init(directory: String, now: Date = Date()) {
        self.files = StateFiles(directory: directory)
        self.now = now
    }

    /// - Parameter force: Whether to make authority and certificates anew. The master key is never replaced: with it
    ///   would go everything that is sealed under it.
    /// - Throws: `StateFileError` that names the file.
    package func ensure(force: Bool = false) throws -> [Report] {
        try files.prepare()
        let (authority, report) = try ensureAuthority(force: force)
        var reports = [report]
        for kind in CertificateKind.all {
            reports.append(try ensure(kind, authority, force: force || report.outcome != .kept,
                keepsKey: !force && kind.isKeptKey))
        }
        return reports + [try ensureMasterKey()]
    }

    // MARK: Authority

    private func ensureAuthority(force: Bool) throws -> (Authority, Report) {
        let existed = files.exists("ca.pem")
        if !force, let authority = existingAuthority() { return (authority, report(authority, .kept)) }
        let authority = try Authority(now: now)
        try removeNext()
        try files.write(authority.key.pemRepresentation + "\n", to: "ca.key", mode: StateFiles.privateMode)
        try files.write(
            authority.certificate.serializeAsPEM().pemString + "\n", to: "ca.pem", mode: StateFiles.publicMode)
        return (authority, report(authority, existed ? .renewed : .made))
    }

    func existingAuthority() -> Authority? {
        guard let authority = authority("ca.pem", "ca.key"),
            authority.certificate.notValidAfter > now + Self.authorityRenewBefore
        else { return nil }
        return authority
    }

    /// The authority of that key; there may be others in the file.
    func authority(_ pem: String, _ keyFile: String) -> Authority? {
        guard files.isPrivate(keyFile), let keyPEM = files.text(keyFile),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: keyPEM),
            let certificate = certificates(in: pem).first(where: {
                $0.publicKey == Certificate.PublicKey(key.publicKey)
            })
        else { return nil }
        return Authority(certificate: certificate, key: key)
    }

    /// All that are believed.
    var authorities: [Certificate] { certificates(in: "ca.pem") }

    private func certificates(in file: String) -> [Certificate] {
        guard let text = files.text(file), let documents = try? PEMDocument.parseMultiple(pemString: text) else {
            return []
        }
        return documents.compactMap { try? Certificate(pemDocument: $0) }
    }

    func report(_ authority: Authority, _ outcome: Outcome) -> Report {
        Report(file: files.path("ca.pem"), outcome: outcome, expires: authority.certificate.notValidAfter)
    }

    // MARK: Certificates

    /// - Parameter keepsKey: Whether a new certificate is for the key that there is.
    func ensure(_ kind: CertificateKind, _ authority: Authority, force: Bool, keepsKey: Bool) throws -> Report {
        let (pem, key) = ("certs/\(kind.fileName).pem", "certs/\(kind.fileName).key")
        let existed = files.exists(pem)
        if !force, let certificate = existing(kind, authority) {
            return Report(file: files.path(pem), outcome: .kept, expires: certificate.notValidAfter)
        }
        let publicKey = try keepsKey ? existingKey(key) ?? makeKey(kind, key) : makeKey(kind, key)
        let certificate = try authority.issue(kind, for: publicKey, now: now)
        try files.write(certificate.serializeAsPEM().pemString + "\n", to: pem, mode: StateFiles.publicMode)
        return Report(
            file: files.path(pem), outcome: existed ? .renewed : .made, expires: certificate.notValidAfter)
    }

    /// The certificate there is, when it is still good: of this authority, for this identity, with its key beside it.
    private func existing(_ kind: CertificateKind, _ authority: Authority) -> Certificate? {
        let (pem, key) = ("certs/\(kind.fileName).pem", "certs/\(kind.fileName).key")
        guard files.isPrivate(key), let text = files.text(pem), let keyText = files.text(key),
            let certificate = try? Certificate(pemEncoded: text),
            let publicKey = try? Certificate.PrivateKey(pemEncoded: keyText).publicKey,
            certificate.publicKey == publicKey,
            authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate),
            let identity = try? PeerIdentity(certificate: certificate), identity == kind.identity,
            certificate.notValidAfter > now + Self.renewBefore
        else { return nil }
        return certificate
    }

    private func existingKey(_ file: String) -> Certificate.PublicKey? {
        guard files.isPrivate(file), let text = files.text(file) else { return nil }
        return try? Certificate.PrivateKey(pemEncoded: text).publicKey
    }

    private func makeKey(_ kind: CertificateKind, _ file: String) throws -> Certificate.PublicKey {
        let (publicKey, pem) = try Self.makeKey(kind)
        try files.write(pem + "\n", to: file, mode: StateFiles.privateMode)
        return publicKey
    }

    private static func makeKey(_ kind: CertificateKind) throws -> (Certificate.PublicKey, pem: String) {
        switch kind {
        case .service:
            let key = P256.Signing.PrivateKey()
            return (Certificate.PublicKey(key.publicKey), key.pemRepresentation)
        case .gatewayIdentity:
            let key = Certificate.PrivateKey(Curve25519.Signing.PrivateKey())
            return (key.publicKey, try key.serializeAsPEM().pemString)
        }
    }

    // MARK: Master key

    /// 64 hexadecimal digits, as the encryption service reads it.
    private func ensureMasterKey() throws -> Report {
        let name = "master.key"
        guard !files.exists(name) else { return Report(file: files.path(name), outcome: .kept, expires: nil) }
        let bytes = try RandomBytes.generate(Self.masterKeySize)
        try files.write(Hex.encode(bytes) + "\n", to: name, mode: StateFiles.privateMode)
        return Report(file: files.path(name), outcome: .made, expires: nil)
    }
}
