import Foundation
import TestSupport
import Testing

/// Roles and breach response, from the command line through two processes to the edge.
extension SystemTests {
    private func users(_ arguments: String...) async throws -> Finished {
        let system = try system
        return try await system.lockstep(["users"] + arguments + ["--state", system.state.path])
    }

    private func me(_ token: String) async throws -> Int { try await system.curl("/v1/users/me", token: token).status }

    /// Whether the gateway refuses the token soon: it learns of it from a feed.
    private func isEnded(_ token: String) async throws -> Bool {
        let ended: Bool? = try await eventually(within: .seconds(10)) { try await me(token) == 401 ? true : nil }
        return ended == true
    }

    @Test func theOperatorMakesAnAdminWhoAnswersABreach() async throws {
        let system = try system
        let admin = try await system.account(password: Self.password)
        let victim = try await system.account(password: Self.password)
        let other = try await system.signIn(admin, password: Self.password)["access_token"]
        let denied = try await system.curl("/v1/admin/users:search", "POST", json: "{}", token: other)
        #expect(denied.status == 403 && denied["code"] == "role_missing", "\(denied.body)")
        let granted = try await users("grant", admin, "admin")
        #expect(granted.status == 0 && granted.output.contains("user,admin"), "\(granted.output)\(granted.errors)")
        let audit: Bool? = try await eventually(within: .seconds(10)) {
            try await users("audit", admin, "--event", "authz_fail").output.contains("UserAdminService/SearchUsers") ? true : nil
        }
        #expect(audit == true, "the denial is in the trail")
        let mine = try await system.signIn(admin, password: Self.password)["access_token"]
        let found = try await system.curl("/v1/admin/users:search", "POST", json: #"{"query":"\#(victim)"}"#, token: mine)
        let id = try #require(found.body.firstMatch(of: /"user_id":"([^"]+)"/), "\(found.body)").1

        // What an admin without a second factor is asked for when the sign-in is long ago.
        let shown = try await system.curl(
            "/v1/sessions/current/passwords", "POST", json: #"{"current_password":"\#(Self.password)"}"#, token: mine)
        #expect(shown.status == 201 && !shown["expires_at"].isEmpty, "\(shown.body)")
        let wrong = try await system.curl(
            "/v1/sessions/current/passwords", "POST", json: #"{"current_password":"wrong"}"#, token: mine)
        #expect(wrong.status == 400 && wrong["code"] == "invalid_credentials", "\(wrong.body)")
        let session = try await system.signIn(victim, password: Self.password)
        #expect(try await me(session["access_token"]) == 200)
        let raised = try await system.curl(
            "/v1/admin/token-versions", "POST", json: #"{"user_id":"\#(id)"}"#, token: mine)
        #expect(raised.status == 201, "\(raised.body)")
        #expect(try await isEnded(session["access_token"]))
        let refreshed = try await system.curl(
            "/v1/tokens", "POST", json: #"{"refresh_token":"\#(session["refresh_token"])"}"#)
        #expect(refreshed.status == 401, "\(refreshed.body)")
        // Signs in again at once, stays in, and may refresh.
        let again = try await system.signIn(victim, password: Self.password)
        #expect(again.status == 201, "\(again.body)")
        #expect(try await me(again["access_token"]) == 200)
        let next = try await system.curl("/v1/tokens", "POST", json: #"{"refresh_token":"\#(again["refresh_token"])"}"#)
        #expect(next.status == 201, "\(next.body)")
        #expect(try await me(mine) == 200, "nobody else is affected")
    }

    @Test func theOperatorEndsEverybodysSessions() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let before = try await system.signIn(address, password: Self.password)["access_token"]
        #expect(try await me(before) == 200)
        let ended = try await users("end-sessions", "--everyone")
        #expect(ended.status == 0 && ended.output.contains("are over"), "\(ended.output)\(ended.errors)")
        #expect(try await isEnded(before))
        let again = try await system.signIn(address, password: Self.password)["access_token"]
        for _ in 0..<5 { #expect(try await me(again) == 200) }
    }

    @Test("RFC 6238, ASVS 6.5.1: an authenticator app is enrolled, asked for at sign-in, and each code counts once")
    func secondFactor() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let token = try await system.signIn(address, password: Self.password)["access_token"]
        #expect(try Self.claim("amr", of: token) == #"["pwd"]"#)
        #expect(try Self.claim("acr", of: token).hasSuffix(#"aal1""#))
        let made = try await system.curl(
            "/v1/users/me/factors", "POST", json: #"{"current_password":"\#(Self.password)","name":"phone"}"#, token: token)
        try #require(made.status == 201, "\(made.body)")
        let code = { (steps: Int) in OneTimePassword.code(secret: made["secret"], steps: steps) }
        let first = code(0)
        let confirmed = try await system.curl(
            "/v1/users/me/factors/\(made["factor_id"])/confirmations", "POST", json: #"{"code":"\#(first)"}"#, token: token)
        try #require(confirmed.status == 201, "\(confirmed.body)")

        let half = try await system.signIn(address, password: Self.password)
        #expect(half["access_token"].isEmpty)
        let second = { (code: String) in
            try await system.curl(
                "/v1/sessions:second-factor", "POST",
                json: #"{"second_factor_token":"\#(half["second_factor_token"])","code":"\#(code)"}"#)
        }
        let replayed = try await second(first)
        #expect(replayed.status == 400 && replayed.body.contains("used before"), "\(replayed.body)")
        let whole = try await second(code(1))
        #expect(whole.status == 201, "\(whole.body)")
        #expect(try await me(whole["access_token"]) == 200)
        // OpenID Connect Core 1.0, section 2; RFC 8176.
        #expect(try Self.claim("amr", of: whole["access_token"]) == #"["pwd","otp","mfa"]"#)
        #expect(try Self.claim("acr", of: whole["access_token"]).hasSuffix(#"aal2""#))
        let age = try Int64(Date().timeIntervalSince1970) - #require(Int64(Self.claim("auth_time", of: whole["access_token"])))
        #expect((-60...600).contains(age), "seconds since 1970")
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: a short password is good beside an authenticator app, and no longer")
    func shortPasswords() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let token = try await system.signIn(address, password: Self.password)["access_token"]
        let short = "otterlamp"
        let change = { (new: String) in
            try await system.curl(
                "/v1/users/me/password", "PUT", json: #"{"current_password":"\#(Self.password)","new_password":"\#(new)"}"#,
                token: token)
        }
        let alone = try await change(short)
        #expect(alone.status == 400 && alone["code"] == "weak_password", "\(alone.body)")
        let made = try await system.curl(
            "/v1/users/me/factors", "POST", json: #"{"current_password":"\#(Self.password)","name":"phone"}"#, token: token)
        try #require(made.status == 201, "\(made.body)")
        let code = OneTimePassword.code(secret: made["secret"], steps: 0)
        let confirmed = try await system.curl(
            "/v1/users/me/factors/\(made["factor_id"])/confirmations", "POST", json: #"{"code":"\#(code)"}"#, token: token)
        try #require(confirmed.status == 201, "\(confirmed.body)")
        let changed = try await change(short)
        try #require(changed.status == 204, "\(changed.body)")

        let kept = try await system.curl("/v1/users/me/factors/\(made["factor_id"])", "DELETE", token: token)
        #expect(kept.status == 409 && kept["code"] == "password_needs_factor", "\(kept.body)")
        #expect(kept["detail"].contains("at least 15 characters"), "\(kept.body)")
        let half = try await system.signIn(address, password: short)
        #expect(half.status == 201 && !half["second_factor_token"].isEmpty, "\(half.body)")

        let reset = try await users("reset-factors", address)
        try #require(reset.status == 0, "\(reset.output)\(reset.errors)")
        let refused = try await system.signIn(address, password: short)
        #expect(refused.status == 401 && refused["code"] == "invalid_credentials", "\(refused.body)")
        let trail = try await users("audit", address, "--event", "authn_password_revoked")
        #expect(trail.output.contains("authn_password_revoked"), "\(trail.output)\(trail.errors)")
        let asked = try await system.curl("/v1/password-reset-requests", "POST", json: #"{"email":"\#(address)"}"#)
        try #require(asked.status == 202, "\(asked.body)")
        let link = try #require(try await system.mailedToken(to: address, about: "set a new password"))
        let chosen = try await system.curl(
            "/v1/password-resets", "POST", json: #"{"token":"\#(link)","new_password":"\#(Self.password)"}"#)
        try #require(chosen.status == 204, "\(chosen.body)")
        #expect(try await !system.signIn(address, password: Self.password)["access_token"].isEmpty)
    }

    /// One claim of an access token, as JSON text.
    static func claim(_ name: String, of token: String) throws -> String {
        let parts = token.split(separator: ".")
        try #require(parts.count == 3)
        var base64 = parts[1].replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        let payload = try #require(Data(base64Encoded: String(base64)))
        let claims = try #require(try JSONSerialization.jsonObject(with: payload) as? [String: Any])
        let value = try JSONSerialization.data(
            withJSONObject: try #require(claims[name]), options: [.fragmentsAllowed, .withoutEscapingSlashes])
        return String(decoding: value, as: UTF8.self)
    }

    @Test("WebAuthn 3 7.1, 7.2: a passkey is registered and signs in through the gateway")
    func passkeys() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let token = try await system.signIn(address, password: Self.password)["access_token"]
        let device = SoftAuthenticator.es256()
        let begun = try await system.curl(
            "/v1/users/me/passkey-challenges", "POST", json: #"{"current_password":"\#(Self.password)"}"#, token: token)
        try #require(begun.status == 201 && begun["rp_id"] == "localhost", "\(begun.body)")
        let clientData = SoftAuthenticator.base64URL(device.clientData("webauthn.create", challenge: begun["challenge"]))
        let object = SoftAuthenticator.base64URL(device.attestationObject())
        let made = try await system.curl(
            "/v1/users/me/passkeys", "POST",
            json: #"{"name":"laptop","client_data_json":"\#(clientData)","attestation_object":"\#(object)"}"#, token: token)
        try #require(made.status == 201 && made["name"] == "laptop", "\(made.body)")
        let asked = try await system.curl("/v1/passkey-challenges", "POST", json: "{}")
        let shown = device.clientData("webauthn.get", challenge: asked["challenge"])
        let data = device.authenticatorData()
        let fields = [
            ("credential_id", device.credentialID), ("client_data_json", shown), ("authenticator_data", data),
            ("signature", try device.signature(data, shown)), ("user_handle", SoftAuthenticator.decoded(begun["user_handle"])),
        ].map { #""\#($0)":"\#(SoftAuthenticator.base64URL($1))""# }
        let signedIn = try await system.curl("/v1/sessions:passkey", "POST", json: "{\(fields.joined(separator: ","))}")
        try #require(signedIn.status == 201, "\(signedIn.body)")
        #expect(try await me(signedIn["access_token"]) == 200)
        #expect(try Self.claim("amr", of: signedIn["access_token"]) == #"["pop","user","mfa"]"#)
        let again = try await system.curl("/v1/sessions:passkey", "POST", json: "{\(fields.joined(separator: ","))}")
        #expect(again.status == 401 && again["code"] == "invalid_passkey", "\(again.body)")
        let password = #"{"current_password":"\#(Self.password)"}"#
        let withPassword = try await system.signIn(address, password: Self.password)["access_token"]
        let alone = try await system.curl("/v1/users/me/passkey-challenges", "POST", json: password, token: withPassword)
        #expect(alone.status == 403 && alone["code"] == "step_up_required", "\(alone.body)")
        #expect(alone["detail"].contains("/v1/sessions/current/passkey-challenges"), "\(alone.body)")
        let shownOne = try await system.curl(
            "/v1/users/me/passkey-challenges", "POST", json: password, token: signedIn["access_token"])
        #expect(shownOne.status == 201, "\(shownOne.body)")

        let wanted = try await system.curl("/v1/sessions/current/passkey-challenges", "POST", json: "{}", token: withPassword)
        try #require(wanted.status == 201, "\(wanted.body)")
        let stepUp = device.clientData("webauthn.get", challenge: wanted["challenge"])
        let steps = [
            ("credential_id", device.credentialID), ("client_data_json", stepUp), ("authenticator_data", data),
            ("signature", try device.signature(data, stepUp)),
        ].map { #""\#($0)":"\#(SoftAuthenticator.base64URL($1))""# }
        let stepped = try await system.curl(
            "/v1/sessions/current/passkeys", "POST", json: "{\(steps.joined(separator: ","))}", token: withPassword)
        try #require(stepped.status == 201 && !stepped["expires_at"].isEmpty, "\(stepped.body)")
        let then = try await system.curl("/v1/users/me/passkey-challenges", "POST", json: password, token: withPassword)
        #expect(then.status == 201, "\(then.body)")
    }

    @Test("RFC 6749 4.4, RFC 7662, RFC 7009: a machine client, from the command line to the end of its token")
    func machineClients() async throws {
        let system = try system
        func clients(_ arguments: String...) async throws -> Finished {
            try await system.lockstep(["clients"] + arguments + ["--state", system.state.path])
        }
        func form(_ path: String, _ fields: String, _ basic: String) async throws -> Answer {
            try await system.curl(
                path, "POST", headers: [("authorization", "Basic " + Data(basic.utf8).base64EncodedString())], form: fields)
        }
        let added = try await clients("add", "nightly report", "--scope", "admin")
        try #require(added.status == 0, "\(added.output)\(added.errors)")
        let id = String(try #require(added.output.firstMatch(of: /client_id +(cli_[A-Za-z0-9_-]+)/)).1)
        let secret = String(try #require(added.output.firstMatch(of: /client_secret +(lcs_[A-Za-z0-9_-]+)/)).1)
        let issued = try await form("/v1/oauth2/token", "grant_type=client_credentials", "\(id):\(secret)")
        try #require(issued.status == 200 && issued["token_type"] == "Bearer", "\(issued.body)")
        #expect(issued.headers["cache-control"] == "no-store")
        let token = issued["access_token"]
        #expect(try Self.claim("client_id", of: token) == "\"\(id)\"" && Self.claim("sub", of: token) == "\"\(id)\"")
        #expect(try await system.curl("/v1/admin/users:search", "POST", json: "{}", token: token).status == 200)
        let own = try await system.curl("/v1/users/me", token: token)
        #expect(own.status == 403 && own["code"] == "user_needed", "\(own.body)")

        let alive = try await form("/v1/oauth2/introspection", "token=\(token)", "\(id):\(secret)")
        #expect(alive.status == 200 && alive.body.contains(#""active":true"#) && alive["client_id"] == id, "\(alive.body)")
        #expect(alive["scope"] == "admin", "\(alive.body)")
        let wrong = try await form("/v1/oauth2/token", "grant_type=client_credentials", "\(id):lcs_wrong")
        #expect(wrong.status == 401 && wrong["error"] == "invalid_client", "\(wrong.body)")
        let rotated = try await clients("rotate", id)
        #expect(rotated.status == 0 && rotated.output.contains("2 secrets are good now"), "\(rotated.output)\(rotated.errors)")
        let revoked = try await form("/v1/oauth2/revocation", "token=\(token)", "\(id):\(secret)")
        #expect(revoked.status == 200, "\(revoked.body)")
        let dead = try await form("/v1/oauth2/introspection", "token=\(token)", "\(id):\(secret)")
        #expect(dead.body == #"{"active":false}"#)
        let ended: Bool? = try await eventually(within: .seconds(10)) {
            try await system.curl("/v1/admin/users:search", "POST", json: "{}", token: token).status == 401 ? true : nil
        }
        #expect(ended == true, "the gateway learns of it from the feed")
        #expect(try await clients("list").output.contains(id))
        #expect(try await clients("remove", id).status == 0)
        let again = try await clients("remove", id)
        #expect(again.status == 66 && again.errors.contains("There is no client \(id)."), "\(again.output)\(again.errors)")
        #expect(try await form("/v1/oauth2/token", "grant_type=client_credentials", "\(id):\(secret)").status == 401)
    }

    @Test("ASVS 16.4.2: the running system seals its audit trail within seconds, and the command line follows the chain")
    func theAuditTrailIsSealed() async throws {
        let system = try system
        let address = try await system.account(password: Self.password)
        let mine = try await users("audit", address)
        #expect(mine.output.contains("email_verified") && mine.output.contains("127.0.0.1"), "\(mine.output)\(mine.errors)")
        // The promise is a second; the rest is for the command, which is a process of its own.
        let sealed: Finished? = try await eventually(within: .seconds(3)) {
            let checked = try await system.lockstep(["audit", "verify", "--state", system.state.path])
            return checked.output.contains(" 0 rows wait") ? checked : nil
        }
        let checked = try #require(sealed)
        #expect(checked.status == 0 && checked.output.contains("The last is entry "), "\(checked.output)\(checked.errors)")
    }

    @Test func theCommandLineSaysWhatIsWrong() async throws {
        let nobody = try await users("grant", "nobody@example.com", "admin")
        #expect(nobody.status == 66 && nobody.errors.contains("There is no account of nobody@example.com"), "\(nobody.errors)")
        let address = try await system.account(password: Self.password)
        let typo = try await users("grant", address, "respnder")
        #expect(typo.status != 0 && typo.errors.contains("admin, responder"), "\(typo.errors)")
        let neither = try await users("end-sessions")
        #expect(neither.status == 64 && neither.errors.contains("--everyone"), "\(neither.errors)")
    }
}
