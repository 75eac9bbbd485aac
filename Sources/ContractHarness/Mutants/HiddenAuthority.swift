import Crypto
import DevelopmentCA
import Foundation
import RPCCore
import X509

/// Certificates between a mutant's filter and the implementation behind it: the same names as outside, of an authority
/// of their own, so that the implementation sees its real peers' identities.
struct HiddenAuthority: Sendable {
    private let authority: Authority
    private let folder: String

    init() throws {
        authority = try Authority(now: Date())
        folder = NSTemporaryDirectory() + "lockstep-mutant-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(authority.certificate.serializeAsPEM().pemString, "ca.pem")
    }

    /// A certificate for the service of that name.
    func credentials(_ service: String) throws -> ConformanceCredentials {
        let key = P256.Signing.PrivateKey()
        let certificate = try authority.issue(
            uris: [PeerIdentity.prefix + service], usages: [.serverAuth, .clientAuth],
            validity: Date() - 3600..<Date() + 86_400, for: Certificate.PublicKey(key.publicKey))
        let name = "\(service)-\(UUID().uuidString)"
        try write(certificate.serializeAsPEM().pemString, "\(name).pem")
        try write(key.pemRepresentation, "\(name).key")
        return .with {
            $0.certificateFile = "\(folder)/\(name).pem"
            $0.keyFile = "\(folder)/\(name).key"
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
