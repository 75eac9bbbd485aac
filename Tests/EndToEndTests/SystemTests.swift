import Foundation
import Testing

/// The five processes as a user meets them. One system serves the whole suite, a test at a time.
@Suite(.serialized, .runningSystem) struct SystemTests {
    /// A password no other text holds, so that a search for it finds only leaks.
    static let password = "canary-horse-battery-\(UInt32.random(in: 1_000_000...9_999_999))"

    var system: RunningSystem { get throws { try #require(SystemTrait.current) } }

    @Test func aPersonWalksThrough() async throws {
        let system = try system
        let walk = try await system.walk(address: "walker@example.com", password: Self.password)
        #expect(walk.status == 0, "\(walk.errors)\n\(walk.output)\n\(system.logText.suffix(4000))")
        #expect(walk.output.contains("the old token is refused"))
    }

    @Test func fiveProcessesRun() async throws {
        let system = try system
        let pids = try RunningSystem.services.map { try #require(try system.pid(of: $0), "\($0) has no pid") }
        #expect(Set(pids).count == 5)
        for pid in pids { #expect(kill(pid, 0) == 0) }
    }

    @Test(arguments: ["encryption", "email", "auth", "token"])
    func internalPortsRefuseStrangers(service: String) async throws {
        let system = try system
        let port = try #require(system.ports[service])
        let address = "127.0.0.1:\(port)"
        let openssl = URL(fileURLWithPath: "/usr/bin/openssl")
        let stranger = ["s_client", "-connect", address, "-alpn", "lockstep/1", "-ign_eof"]
        let refused = try await run(openssl, stranger)
        let isRefused = (refused.output + refused.errors).contains("alert certificate required")
        #expect(isRefused, "\(refused.errors)")
        let old = try await run(openssl, stranger + ["-tls1_2"])
        let isTooOld = (old.output + old.errors).contains("alert protocol version")
        #expect(isTooOld, "\(old.errors)")
        let me = system.state.appending(path: "certs/gateway")
        let otherProtocol = try await run(
            openssl,
            ["s_client", "-connect", address, "-alpn", "h2", "-cert", "\(me.path).pem", "-key", "\(me.path).key"])
        #expect(otherProtocol.output.contains("No ALPN negotiated"))
        #expect(!otherProtocol.output.contains("LKST"), "a HELLO was sent to a peer of another protocol")
    }

    @Test func aServiceMayCallWhatTheContractSays() async throws {
        let system = try system
        let hash = try await system.lockstep(
            ["call", "PasswordService/Hash", "--cert", "auth", "--state", system.state.path, "-d", "-"],
            input: #"{"password":"\#(Self.password)"}"#)
        try #require(hash.status == 0, "\(hash.errors)")
        let made = try #require(
            try JSONSerialization.jsonObject(with: Data(hash.output.utf8)) as? [String: String])["password_hash"]
        let verify = try await system.lockstep(
            ["call", "PasswordService/Verify", "--cert", "auth", "--state", system.state.path, "-d", "-"],
            input: #"{"password":"\#(Self.password)","password_hash":"\#(try #require(made))"}"#)
        #expect(verify.status == 0)
        #expect(verify.output.contains("true"))
    }

    @Test("ASVS 13.2.2: a service may call nothing that the contract does not say")
    func aServiceMayNotCallAnythingElse() async throws {
        let system = try system
        let token = try await system.lockstep(
            ["call", "TokenService/ListProviders", "--cert", "auth", "--state", system.state.path, "-d", "{}"])
        #expect(token.status != 0)
        #expect(token.errors.contains("PERMISSION_DENIED"), "\(token.errors)")
        let vault = #"{"key_name":"token-vault","ciphertext":"AAAA"}"#
        let decrypt = try await system.lockstep(
            ["call", "EncryptionService/Decrypt", "--cert", "auth", "--state", system.state.path, "-d", vault])
        #expect(decrypt.status != 0)
        #expect(decrypt.errors.contains("PERMISSION_DENIED"), "\(decrypt.errors)")
    }

    /// Who opens another's link, consents and comes back gives the other nothing.
    @Test func aLinkEndsInTheBrowserThatStartedIt() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let token = try await system.signIn(address, password: Self.password)["access_token"]
        let providers = try await system.curl("/v1/providers", token: token)
        let known = providers.body.firstMatch(of: /"provider":"([^"]+)"/)
        let name = try #require(known, "\(providers.body)").1
        let start = try await system.curl("/v1/connections", "POST", json: #"{"provider":"\#(name)"}"#, token: token)
        try #require(start.status == 201, "\(start.body)")
        let cookie = try #require(start.headers["set-cookie"])
        #expect(cookie.hasPrefix("__Host-lockstep-flow="))
        #expect(cookie.hasSuffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"))
        #expect(start.json["browser"] == nil)

        let items = URLComponents(string: start["authorization_url"])?.queryItems ?? []
        let state = try #require(items.first { $0.name == "state" }?.value)
        // Without the provider's `iss`, which is looked at once the state is accepted, and then ends the flow.
        let callback = "/v1/connections/callback?error=access_denied&session_state=x&state=\(state)"
        let stranger = try await system.curl(callback)
        #expect(stranger.status == 400 && stranger["code"] == "invalid_state", "\(stranger.body)")
        let guess = try await system.curl(callback, cookie: "__Host-lockstep-flow=guess")
        #expect(guess.status == 400 && guess["code"] == "invalid_state", "\(guess.body)")
        let bad = try await system.curl(callback, token: "bad")
        #expect(bad.status == 401, "\(bad.body)")
        let pair = String(cookie.prefix { $0 != ";" })
        let owner = try await system.curl(callback, cookie: pair)
        #expect(owner.status == 400 && owner["code"] == "wrong_issuer", "\(owner.body)")
        #expect(!system.logText.contains(pair.split(separator: "=")[1]), "a log holds the cookie")
    }

    @Test(arguments: RunningSystem.services)
    func aKilledProcessComesBackAndNothingIsGone(service: String) async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let session = try await system.signIn(address, password: Self.password)
        try #require(session.status == 201, "\(session.body)")
        let before = try #require(try system.pid(of: service))
        kill(before, SIGKILL)
        let after: Int32? = try await eventually(within: .seconds(20)) {
            guard let pid = try system.pid(of: service), pid != before, kill(pid, 0) == 0 else { return nil }
            return pid
        }
        try #require(after != nil, "\(service) was not restarted")
        let told: Bool? = try await eventually(within: .seconds(20)) {
            system.logText.contains("\(service) is ready again") ? true : nil
        }
        #expect(told == true, "nobody says that \(service) is ready again")
        let again: Answer? = try await eventually(within: .seconds(10)) {
            let answer = try await system.signIn(address, password: Self.password)
            return answer.status == 201 ? answer : nil
        }
        let back = try #require(again, "no sign-in after \(service) was killed")
        let me = try await system.curl("/v1/users/me", token: back["access_token"])
        #expect(me.status == 200)
        #expect(me["email"] == address)
        let refreshed = try await system.curl(
            "/v1/tokens", "POST", json: #"{"refresh_token":"\#(session["refresh_token"])"}"#)
        #expect(refreshed.status == 201, "the session of before is gone: \(refreshed.body)")
        try await system.waitUntilReady()
    }

    /// `lockstep certs --rotate` on a system that is used: nobody notices, but who still shows the old certificate.
    @Test func theAuthorityIsReplacedUnderLoad() async throws {
        let system = try system
        let before = system.state.appending(path: "certs/before")
        for ending in ["pem", "key"] {
            try FileManager.default.copyItem(
                at: system.state.appending(path: "certs/operator.\(ending)"), to: before.appendingPathExtension(ending))
        }
        let address = try await system.account(password: Self.password)
        let load = Task {
            var answers: [Int] = []
            while true {
                let session = try await system.signIn(address, password: Self.password)
                let me = try await system.curl("/v1/users/me", token: session["access_token"])
                // What the end of the test has cut short says nothing.
                guard !Task.isCancelled else { return answers }
                answers += [session.status, me.status]
            }
        }
        let finished = try await system.lockstep(
            ["certs", "--rotate", "--pause", "3", "--state", system.state.path])
        load.cancel()
        let answers = try await load.value
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(finished.output.contains("3 of 3"))
        #expect(Set(answers) == [201, 200], "\(answers)")
        let old = try await run(
            URL(fileURLWithPath: "/usr/bin/openssl"),
            [
                "s_client", "-connect", "127.0.0.1:\(try #require(system.ports["auth"]))", "-alpn", "lockstep/1",
                "-ign_eof", "-cert", before.appendingPathExtension("pem").path, "-key",
                before.appendingPathExtension("key").path,
            ])
        let isRefused = (old.output + old.errors).contains("alert unknown ca")
        #expect(isRefused, "\(old.errors)")
        let again = try await system.signIn(address, password: Self.password)
        #expect(again.status == 201, "\(again.body)")
    }

    @Test("ASVS 16.2.5, 13.3.1: planted secrets are in no log and no store")
    func plantedSecretsAreFoundNowhere() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let session = try await system.signIn(address, password: Self.password)
        let walk = try await system.walk(address: "canary@example.com", password: Self.password)
        try #require(walk.status == 0, "\(walk.errors)")
        let secrets = [Self.password, session["access_token"], session["refresh_token"]]
        for planted in secrets + [address, "canary@example.com"] {
            try #require(planted.count > 8)
            #expect(!system.logText.contains(planted), "a log holds what was planted")
        }
        let files = FileManager.default.enumerator(atPath: system.state.path)?.compactMap { $0 as? String } ?? []
        let stores = files.filter { !$0.hasPrefix("provider/") && ($0.contains(".sqlite") || $0.contains("keyring")) }
        try #require(stores.count >= 4)
        for store in stores {
            let bytes = try Data(contentsOf: system.state.appending(path: store))
            for secret in secrets { #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(store) holds a secret") }
        }
    }
}
