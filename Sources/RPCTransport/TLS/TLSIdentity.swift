package import FoundationEssentials
package import NIOSSL
package import RPCCore
import Synchronization
package import X509

/// What a process proves who it is with, and whom it believes: its certificate and key, and the authority.
///
/// TLS 1.3 only, ALPN `lockstep/1`, and on both sides a certificate of the authority is required. Hosts and addresses
/// mean nothing: a peer is who its SAN URI says.
///
/// The files may change while the process runs. After `reload` new handshakes use what they say then, and connections
/// to peers that are no longer believed end; all others go on.
package final class TLSIdentity: Sendable {
    /// Own name, from the certificate. No reload changes it.
    package let identity: PeerIdentity
    package let files: TLSFiles
    private let state: Mutex<State>

    fileprivate struct State {
        var material: TLSMaterial
        var generation = 0
        var observers: [WeakTrustObserver] = []
    }

    /// - Parameters:
    ///   - certificateFile: PEM: the process's certificate, then intermediate ones if there are any.
    ///   - keyFile: PEM: its private key; nobody but the owner may have access.
    ///   - authorityFile: PEM: the authorities whose certificates are believed.
    /// - Throws: `TLSConfigurationError` that names the file.
    package convenience init(
        certificateFile: String, keyFile: String, authorityFile: String
    ) throws(TLSConfigurationError) {
        try self.init(TLSFiles(certificate: certificateFile, key: keyFile, authority: authorityFile))
    }

    /// - Throws: `TLSConfigurationError` that names the file.
    package init(_ files: TLSFiles) throws(TLSConfigurationError) {
        let material = try TLSMaterial(files)
        self.files = files
        self.identity = material.identity
        self.state = Mutex(State(material: material))
    }

    /// For the next handshake as a server.
    package var serverContext: NIOSSLContext { state.withLock { $0.material.serverContext } }
    /// For the next handshake as a client.
    package var clientContext: NIOSSLContext { state.withLock { $0.material.clientContext } }
    /// Own certificate, those behind it, and the key.
    package var presented: (chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
        state.withLock { ($0.material.chain, $0.material.key) }
    }
    /// Until when the own certificate is valid.
    package var expires: Date { state.withLock { $0.material.leaf.notValidAfter } }
    /// Counts the times that the authorities have changed.
    package var generation: Int { state.withLock { $0.generation } }

    // MARK: Changes

    /// What a reload has changed.
    package struct Change: Sendable, Hashable {
        package var certificate: Bool
        package var authorities: Bool

        package init(certificate: Bool = false, authorities: Bool = false) {
            self.certificate = certificate
            self.authorities = authorities
        }

        package var isNone: Bool { self == Change() }
    }

    /// Reads the files again. What they say holds from now on; if they cannot be used, all stays as it was.
    ///
    /// - Throws: `TLSConfigurationError` that names the file.
    package func reload() throws(TLSConfigurationError) -> Change {
        let material = try TLSMaterial(files)
        guard material.identity == identity else {
            throw TLSConfigurationError(
                file: files.certificate,
                problem: "is the certificate of \(material.identity.service); this is \(identity.service).")
        }
        let (change, observers) = state.withLock { $0.take(material) }
        for observer in observers { observer.trustChanged() }
        return change
    }

    /// Whether a peer that shows this certificate is believed now. One that an intermediate authority has issued is
    /// not: only a new handshake shows what is behind it.
    package func accepts(_ certificate: Certificate, at now: Date = .now) -> Bool {
        certificate.notValidBefore <= now && now <= certificate.notValidAfter
            && state.withLock { $0.material }.hasIssued(certificate)
    }

    /// Tells `observer` from now on, for as long as it exists.
    package func observe(_ observer: some TrustObserver) {
        state.withLock { $0.observers.append(WeakTrustObserver(observer: observer)) }
    }
}

extension TLSIdentity.State {
    /// What has changed, and who is to hear of it.
    fileprivate mutating func take(_ new: TLSMaterial) -> (TLSIdentity.Change, [any TrustObserver]) {
        let change = TLSIdentity.Change(
            certificate: new.chain != material.chain || new.key != material.key,
            authorities: new.authorities != material.authorities)
        guard !change.isNone else { return (change, []) }
        material = new
        guard change.authorities else { return (change, []) }
        generation += 1
        observers.removeAll { $0.observer == nil }
        return (change, observers.compactMap { $0.observer })
    }
}

/// Whoever holds connections whose peers may no longer be believed.
package protocol TrustObserver: AnyObject, Sendable {
    /// The authorities have changed. Called on any thread.
    func trustChanged()
}

private struct WeakTrustObserver: Sendable {
    weak var observer: (any TrustObserver)?
}
