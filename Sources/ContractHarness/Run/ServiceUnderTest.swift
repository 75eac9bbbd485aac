/// A service that runs already: generic cases go against it as they would against any server.
package struct ServiceUnderTest: Sendable {
    let name: String
    let host: String
    let port: Int
    let credentials: ConformanceCredentials
    /// A unary method that the certificate's owner may call with an empty request.
    let method: UInt32
    /// False for the gateway's HTTPS: then only what a stranger may expect of it is tested.
    let speaksRPC: Bool

    /// - Parameters: The certificate's files are PEM.
    package init(
        name: String, host: String, port: Int, certificateFile: String, keyFile: String, authorityFile: String,
        method: UInt32, speaksRPC: Bool
    ) {
        self.name = name
        self.host = host
        self.port = port
        self.method = method
        self.speaksRPC = speaksRPC
        credentials = .with {
            $0.certificateFile = certificateFile
            $0.keyFile = keyFile
            $0.authorityFile = authorityFile
        }
    }
}

extension ContractRun {
    /// The generic cases, against a service of a running system. Their names get the service's in front.
    package func run(
        against service: ServiceUnderTest, _ report: @escaping @Sendable (CaseOutcome) -> Void = { _ in }
    ) async throws -> [CaseOutcome] {
        let authority = try HarnessAuthority()
        defer { authority.remove() }
        // The system's own authority, not this one's: its services believe no other.
        authority.keep(service.credentials, as: "operator")
        let ready = ConformanceServerReady.with {
            $0.host = service.host
            $0.port = UInt32(clamping: service.port)
        }
        let stage = Stage(
            fixed: RunningServer(link: LocalPeer(), ready: ready), authority: authority, method: service.method)
        return try await run(on: stage, report, against: service)
    }
}
