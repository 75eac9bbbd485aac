import Crypto
import DevelopmentCA
import Foundation
import Synchronization
import X509

/// Certificates of a run: good ones and wrong ones, as files in a folder of their own, made when they are asked for.
final class HarnessAuthority: Sendable {
    let folder: String
    private let authority: Authority
    private let stranger: Authority
    private let made = Mutex<[String: ConformanceCredentials]>([:])

    private static let prefix = "spiffe://lockstep.local/service/"
    private static let day = TimeInterval(86_400)

    init() throws {
        folder = NSTemporaryDirectory() + "lockstep-contract-\(UUID().uuidString)"
        authority = try Authority(now: Date())
        stranger = try Authority(now: Date())
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(authority.certificate.serializeAsPEM().pemString, "ca.pem", mode: 0o644)
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// - Parameter name: A service's name for a good certificate, or such as `expired:operator` for a wrong one:
    ///   `expired`, `not-yet`, `wrong-ca`, `wrong-eku-server`, `wrong-eku-client`, `no-san`, `two-sans`, `foreign-san`.
    func credentials(_ name: String) throws -> ConformanceCredentials {
        // Made within the lock: two cases that ask at once must not write the certificate of one and the key of the other.
        try made.withLock { made in
            if let known = made[name] { return known }
            let new = try make(name)
            made[name] = new
            return new
        }
    }

    private func make(_ name: String) throws -> ConformanceCredentials {
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        let wrong = parts.count == 2 ? parts[0] : ""
        let service = parts.last ?? name
        let file = name.replacingOccurrences(of: ":", with: "-")
        let key = P256.Signing.PrivateKey()
        let certificate = try issue(wrong, service, Certificate.PublicKey(key.publicKey))
        try write(certificate.serializeAsPEM().pemString, "\(file).pem", mode: 0o644)
        try write(key.pemRepresentation, "\(file).key", mode: 0o600)
        return .with {
            $0.certificateFile = "\(folder)/\(file).pem"
            $0.keyFile = "\(folder)/\(file).key"
            $0.authorityFile = "\(folder)/ca.pem"
        }
    }

    func keep(_ credentials: ConformanceCredentials, as name: String) { made.withLock { $0[name] = credentials } }

    private func issue(_ wrong: String, _ service: String, _ key: Certificate.PublicKey) throws -> Certificate {
        let now = Date()
        var uris = ["\(Self.prefix)\(service)"]
        var usages: [ExtendedKeyUsage.Usage] = [.serverAuth, .clientAuth]
        var validity = now - Self.day..<now + Self.day
        var issuer = authority
        switch wrong {
        case "": break
        case "expired": validity = now - 2 * Self.day..<now - Self.day
        case "not-yet": validity = now + Self.day..<now + 2 * Self.day
        case "wrong-ca": issuer = stranger
        case "wrong-eku-server": usages = [.serverAuth]
        case "wrong-eku-client": usages = [.clientAuth]
        case "no-san": uris = []
        case "two-sans": uris.append("\(Self.prefix)other")
        case "foreign-san": uris = ["spiffe://elsewhere.example/service/\(service)"]
        default: throw CaseError("there is no kind of certificate called \(wrong)")
        }
        return try issuer.issue(uris: uris, usages: usages, validity: validity, for: key)
    }

    private func write(_ text: String, _ name: String, mode: Int) throws {
        guard
            FileManager.default.createFile(
                atPath: "\(folder)/\(name)", contents: Data((text + "\n").utf8), attributes: [.posixPermissions: mode])
        else { throw CaseError("\(folder)/\(name) cannot be written") }
    }
}
