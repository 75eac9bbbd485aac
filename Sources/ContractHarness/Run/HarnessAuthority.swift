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
    /// The certificate of the authority that nobody believes, until a case has its implementation do so.
    let strangerFile: String

    private static let prefix = "spiffe://lockstep.local/service/"
    private static let day = TimeInterval(86_400)

    init() throws {
        folder = NSTemporaryDirectory() + "lockstep-contract-\(UUID().uuidString)"
        strangerFile = "\(folder)/stranger.pem"
        authority = try Authority(now: Date())
        stranger = try Authority(now: Date())
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(try Self.pem([authority]), "ca.pem", mode: 0o644)
        try write(try Self.pem([stranger]), "stranger.pem", mode: 0o644)
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

    /// A certificate in files that one implementation alone reads: `rotate` replaces them.
    ///
    /// - Parameter owner: Whose files they are.
    func ownCredentials(_ service: String, of owner: String) throws -> ConformanceCredentials {
        let place = owner.replacingOccurrences(of: "/", with: "-")
        return try made.withLock { made in
            if let known = made["\(place)/\(service)"] { return known }
            try FileManager.default.createDirectory(atPath: "\(folder)/\(place)", withIntermediateDirectories: true)
            let new = ConformanceCredentials.with {
                $0.certificateFile = "\(folder)/\(place)/\(service).pem"
                $0.keyFile = "\(folder)/\(place)/\(service).key"
                $0.authorityFile = "\(folder)/\(place)/ca.pem"
            }
            try replace(service, in: place, by: .old, believing: [.old])
            made["\(place)/\(service)"] = new
            return new
        }
    }

    /// The authorities of a rotation: the one that everybody believes, and the other.
    enum Issuer: String, Sendable {
        case old
        case new
    }

    /// Writes a new certificate and key over those that `ownCredentials` has made.
    func replaceCredentials(_ service: String, of owner: String, by issuer: Issuer, believing: [Issuer]) throws {
        let place = owner.replacingOccurrences(of: "/", with: "-")
        try made.withLock { _ in try replace(service, in: place, by: issuer, believing: believing) }
    }

    private func replace(_ service: String, in place: String, by issuer: Issuer, believing: [Issuer]) throws {
        let key = P256.Signing.PrivateKey()
        let kind = issuer == .old ? "" : "wrong-ca"
        let certificate = try issue(kind, service, Certificate.PublicKey(key.publicKey))
        try write(certificate.serializeAsPEM().pemString, "\(place)/\(service).pem", mode: 0o644)
        try write(key.pemRepresentation, "\(place)/\(service).key", mode: 0o600)
        try write(try Self.pem(believing.map { $0 == .old ? authority : stranger }), "\(place)/ca.pem", mode: 0o644)
    }

    private static func pem(_ authorities: [Authority]) throws -> String {
        try authorities.map { try $0.certificate.serializeAsPEM().pemString }.joined(separator: "\n")
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
