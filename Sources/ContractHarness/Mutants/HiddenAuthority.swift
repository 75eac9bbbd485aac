import Crypto
import DevelopmentCA
import Foundation
import RPCCore
import Synchronization
import X509

/// Certificates between a mutant's filter and the implementation behind it: the same names as outside, of an authority
/// of their own, so that the implementation sees its real peers' identities.
final class HiddenAuthority: Sendable {
    private let authority: Authority
    private let folder: String
    private let made = Mutex<[String: ConformanceCredentials]>([:])

    init() throws {
        authority = try Authority(now: Date())
        folder = NSTemporaryDirectory() + "lockstep-mutant-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(authority.certificate.serializeAsPEM().pemString, "ca.pem")
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// A certificate for the service of that name, made once.
    func credentials(_ service: String) throws -> ConformanceCredentials {
        try made.withLock { made in
            if let known = made[service] { return known }
            let new = try make(service)
            made[service] = new
            return new
        }
    }

    private func make(_ service: String) throws -> ConformanceCredentials {
        let key = P256.Signing.PrivateKey()
        let certificate = try authority.issue(
            uris: [PeerIdentity.prefix + service], usages: [.serverAuth, .clientAuth],
            validity: Date() - 3600..<Date() + 86_400, for: Certificate.PublicKey(key.publicKey))
        try write(certificate.serializeAsPEM().pemString, "\(service).pem")
        try write(key.pemRepresentation, "\(service).key")
        return .with {
            $0.certificateFile = "\(folder)/\(service).pem"
            $0.keyFile = "\(folder)/\(service).key"
            $0.authorityFile = "\(folder)/ca.pem"
        }
    }

    func server(_ start: ConformanceStartServer) throws -> ConformanceStartServer {
        var start = start
        start.credentials = try credentials("conformance")
        return start
    }

    private func write(_ text: String, _ name: String) throws {
        guard
            FileManager.default.createFile(
                atPath: "\(folder)/\(name)", contents: Data((text + "\n").utf8), attributes: [.posixPermissions: 0o600])
        else { throw PeerFailure("\(folder)/\(name) cannot be written") }
    }
}
