import Foundation
import Glibc
import JOSE
import LibCrypto
package import RPCCore

/// Signs who the end user is. The gateway's alone: it has the key.
package struct IdentityTokenSigner: Sendable {
    private let signer: TokenSigner
    private let issuer: String
    private let clock: any WallClock

    /// - Parameters:
    ///   - certificateFile: PEM: an Ed25519 certificate with the gateway's SAN URI.
    ///   - keyFile: PEM (PKCS #8), mode 0600.
    /// - Throws: `IdentityKeyError` that names the file.
    package init(
        certificateFile: String, keyFile: String, clock: any WallClock = SystemWallClock()
    ) throws(IdentityKeyError) {
        let certificate = try IdentityCertificate(file: certificateFile, authorityFile: nil, now: clock.seconds)
        let key = try Self.key(in: keyFile)
        guard key.publicKey == certificate.key else {
            throw IdentityKeyError(description: "\(keyFile) does not belong to \(certificateFile)")
        }
        guard let kid = try? JWK.thumbprint(of: key.publicKey) else {
            throw IdentityKeyError(description: "\(keyFile) cannot be used: the key has no thumbprint")
        }
        self.signer = TokenSigner(kid: kid, key: key, type: IdentityToken.type)
        self.issuer = certificate.issuer.uri
        self.clock = clock
    }

    /// The token for one user.
    ///
    /// - Parameter lifetime: At most 60 s; more is cut to that.
    package func sign(
        subject: String, session: String, roles: [String], lane: Lane = .routine, lifetime: Duration = .seconds(60)
    ) throws -> String {
        let now = clock.seconds
        let seconds = min(max(lifetime.components.seconds, 1), IdentityToken.maximumLifetime)
        return try signer.sign(
            Claims(
                issuer: issuer, subject: subject, audience: [IdentityToken.audience], expiresAt: now + seconds,
                issuedAt: now, id: Base64URL.encode(try RandomBytes.generate(16)), session: session, roles: roles,
                lane: lane == .emergency ? IdentityToken.emergencyLane : nil))
    }

    private static func key(in file: String) throws(IdentityKeyError) -> Ed25519.PrivateKey {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw IdentityKeyError(description: "\(file) cannot be read; `lockstep certs` makes it")
        }
        let permissions = try? FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? NSNumber
        guard let permissions, permissions.intValue & 0o077 == 0 else {
            throw IdentityKeyError(description: "\(file) is a private key that others may read; run chmod 600 on it")
        }
        do {
            return try Ed25519.PrivateKey(pem: String(decoding: data, as: UTF8.self))
        } catch {
            throw IdentityKeyError(description: "\(file) holds no Ed25519 key in PKCS #8 PEM")
        }
    }
}
