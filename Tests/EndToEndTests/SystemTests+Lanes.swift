import ContractClients
import Contracts
import Foundation
import RPCClient
import RPCCore
import RPCTransport
import ServiceKit
import Testing

/// Who may use the emergency lane, with real processes: asked for from outside, and from inside.
extension SystemTests {
    static let urgent = #""lane":"emergency""#

    /// Nothing that a request says makes it an emergency; the role that the store holds does.
    @Test func nobodyOutsideMakesAnEmergency() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let token = try await system.signIn(address, password: Self.password)["access_token"]
        let spoofs = [
            ("Lane", "emergency"), ("X-Lane", "1"), ("Priority", "u=0"), ("lockstep-lane", "emergency"),
            ("lockstep-user-identity", "forged.identity.token"), ("X-User-Roles", "responder"),
        ]
        for (index, spoof) in spoofs.enumerated() {
            let id = "spoofed-\(index)-\(UUID().uuidString)"
            let answer = try await system.curl("/v1/users/me", token: token, headers: [spoof, ("X-Request-Id", id)])
            #expect(answer.status == 200, "\(answer.body)")
            let line = try await system.callLine(id)
            #expect(!line.contains(Self.urgent), "\(spoof): \(line)")
        }
        #expect(try await system.curl("/v1/users/me?lane=emergency", token: token).status == 400)

        try await system.setRoles("user responder", of: address)
        let responder = try await system.signIn(address, password: Self.password)["access_token"]
        let id = "responder-\(UUID().uuidString)"
        let answer = try await system.curl("/v1/users/me", token: responder, headers: [("X-Request-Id", id)])
        #expect(answer.status == 200, "\(answer.body)")
        let line = try await system.callLine(id)
        #expect(line.contains(Self.urgent) && line.contains(#""user":"usr_"#), "each use is on record: \(line)")
        let before = "earlier-\(UUID().uuidString)"
        _ = try await system.curl("/v1/users/me", token: token, headers: [("X-Request-Id", before)])
        #expect(try await system.callLine(before).contains(Self.urgent) == false, "a token says what it said")
    }

    /// A service that is allowed to call says how urgent it is; encryption believes what the gateway signed.
    @Test func aServiceLowersTheLaneAndNeverRaisesIt() async throws {
        let system = try system
        let certificates = system.state.appending(path: "certs").path
        let signer = try IdentityTokenSigner(
            certificateFile: "\(certificates)/gateway-identity.pem", keyFile: "\(certificates)/gateway-identity.key")
        func token(_ lane: Lane) throws -> String {
            try signer.sign(subject: "usr_1", session: "ses_1", roles: ["responder"], lane: lane)
        }
        let cases: [(token: String?, asked: Lane, isUrgent: Bool)] = [
            (nil, .emergency, false), (try token(.routine), .emergency, false),
            (try token(.emergency), .routine, false),
            (try token(.emergency), .emergency, true),
        ]
        var request = EncryptionVerifyTokenRequest()
        request.token = "none"
        let unread = request
        try await system.withEncryption { jwt in
            for (index, item) in cases.enumerated() {
                var options = CallOptions()
                options.requestID = "lane-\(index)-\(UUID().uuidString)"
                (options.userToken, options.lane) = (item.token, item.asked)
                _ = try? await jwt.verify(unread, options)
                let line = try await system.callLine(options.requestID ?? "")
                #expect(line.contains(Self.urgent) == item.isUrgent, "\(index): \(line)")
            }
            var forged = CallOptions()
            (forged.userToken, forged.lane) = (try token(.emergency) + "x", .emergency)
            let bad = forged
            let error = await #expect(throws: RPCError.self) {
                try await jwt.verify(unread, bad)
            }
            #expect(error?.code == .unauthenticated && error?.processed == .no)
        }
    }
}

extension RunningSystem {
    /// The line that a service wrote of the call with that request id.
    fileprivate func callLine(_ requestID: String) async throws -> String {
        let line: String? = try await eventually(within: .seconds(10)) { [self] in
            logText.split(separator: "\n").last { $0.contains(requestID) && $0.contains(#""message":"call""#) }
                .map(String.init)
        }
        return try #require(line, "no line of \(requestID)")
    }

    /// What an operator would do to the store.
    fileprivate func setRoles(_ roles: String, of address: String) async throws {
        let script = """
            import sqlite3, sys
            store = sqlite3.connect(sys.argv[1], timeout=10)
            changed = store.execute("UPDATE users SET roles = ? WHERE email = ?", (sys.argv[2], sys.argv[3])).rowcount
            store.commit()
            sys.exit(0 if changed == 1 else 1)
            """
        let done = try await run(
            python, ["-c", script, state.appending(path: "auth.sqlite").path, roles, address])
        try #require(done.status == 0, "\(done.errors)")
    }

    /// A client of encryption's with auth's certificate.
    fileprivate func withEncryption(_ body: (JWTServiceClient) async throws -> Void) async throws {
        let certificates = state.appending(path: "certs").path
        let tls = try TLSIdentity(
            certificateFile: "\(certificates)/auth.pem", keyFile: "\(certificates)/auth.key",
            authorityFile: state.appending(path: "ca.pem").path)
        let pool = try ClientPool(
            service: "encryption", host: "127.0.0.1", port: ports["encryption"] ?? 0, tls: tls)
        do {
            try await body(JWTServiceClient(pool))
        } catch {
            await pool.shutdown()
            throw error
        }
        await pool.shutdown()
    }
}
