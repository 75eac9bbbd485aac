import Crypto
import Foundation
import SwiftASN1
import X509

/// Replacing the authority while the system runs. Between two steps every process has to have read the files: then
/// each of them believes the other's certificate at every moment.
extension DevelopmentCertificates {
    /// What a rotation does, in this order.
    package enum RotationStep: Sendable, Hashable, CaseIterable {
        /// There is a new authority, and it is believed beside the old one.
        case announce
        /// The new one issues all certificates; the old one is still believed.
        case issue
        /// The old one, and what it issued, is believed no more.
        case retire
    }

    private static let nextCertificate = "ca.next.pem"
    private static let nextKey = "ca.next.key"

    /// The step that is next, as the files say: a rotation that was interrupted goes on where it stopped.
    package var nextStep: RotationStep {
        if files.exists(Self.nextKey) { return .issue }
        return authorities.count > 1 ? .retire : .announce
    }

    /// Does the next step. Doing it again after a failure does no harm.
    ///
    /// - Throws: `StateFileError`, also when there is no authority to replace.
    package func rotate() throws -> [Report] {
        guard let current = existingAuthority() else {
            throw StateFileError(
                description: "\(files.path("ca.pem")) and ca.key are no authority; `lockstep certs` makes one")
        }
        switch nextStep {
        case .announce: return [try announce(beside: current)]
        case .issue: return try issue(current)
        case .retire: return [try publish(current, and: [])]
        }
    }

    /// A rotation that was begun is not wanted any more.
    func removeNext() throws(StateFileError) {
        try files.remove(Self.nextKey)
        try files.remove(Self.nextCertificate)
    }

    private func announce(beside current: Authority) throws -> Report {
        let next = try Authority(now: now)
        let report = try publish(current, and: [next.certificate])
        try write(next.certificate, to: Self.nextCertificate)
        // The key is last: with it the step counts as done.
        try write(next.key, to: Self.nextKey)
        return report
    }

    private func issue(_ current: Authority) throws -> [Report] {
        guard let next = authority(Self.nextCertificate, Self.nextKey) else {
            throw StateFileError(
                description: "\(files.path(Self.nextKey)) does not belong to \(Self.nextCertificate); delete both "
                    + "and begin again")
        }
        // Both stay believed, whichever key is the current one.
        let others = authorities.filter { $0 != next.certificate }
        var reports = [try publish(next, and: others)]
        try write(next.key, to: "ca.key")
        for kind in CertificateKind.all { reports.append(try ensure(kind, next, force: false, keepsKey: kind.isKeptKey)) }
        try removeNext()
        return reports
    }

    private func publish(_ authority: Authority, and others: [Certificate]) throws -> Report {
        let pem = try ([authority.certificate] + others).map { try $0.serializeAsPEM().pemString + "\n" }
        try files.write(pem.joined(), to: "ca.pem", mode: StateFiles.publicMode)
        return report(authority, .renewed)
    }

    private func write(_ certificate: Certificate, to name: String) throws {
        try files.write(try certificate.serializeAsPEM().pemString + "\n", to: name, mode: StateFiles.publicMode)
    }

    private func write(_ key: P256.Signing.PrivateKey, to name: String) throws {
        try files.write(key.pemRepresentation + "\n", to: name, mode: StateFiles.privateMode)
    }
}

extension CertificateKind {
    /// Services check what the gateway signs with the key that they read when they started: who renews keeps it.
    var isKeptKey: Bool {
        if case .gatewayIdentity = self { true } else { false }
    }
}
