import Foundation
import TestSupport
import Testing

/// `encryption.fips = required` where OpenSSL's FIPS provider is installed: the processes find it as they do in production, by
/// OpenSSL's own configuration.
@Suite(.serialized) struct FIPSProcessTests {
    private static func required(_ configuration: FIPSProvider.Configuration) -> [String: String] {
        FIPSProvider.settings(configuration).merging(["LOCKSTEP_ENCRYPTION_FIPS": "required"]) { $1 }
    }

    @Test(
        "FIPS 140-3: with the FIPS provider the services do all their work, and say so",
        .enabled(if: FIPSProvider.isThere, "There is no FIPS provider: `make build` said why."),
        arguments: [FIPSProvider.Configuration.asInReadme, .besideTheDefault])
    func theServicesWork(configuration: FIPSProvider.Configuration) async throws {
        let system = try await RunningSystem.start(settings: Self.required(configuration))
        defer { system.stop() }
        func call(_ method: String, as caller: String, _ request: String) async throws -> [String: Any] {
            let asked = try await system.lockstep(
                ["call", method, "--cert", caller, "--state", system.state.path, "-d", "-"], input: request)
            try #require(asked.status == 0, "\(method): \(asked.errors)")
            return try #require(try JSONSerialization.jsonObject(with: Data(asked.output.utf8)) as? [String: Any])
        }
        let facts = try await call("EncryptionService/DescribeService", as: "operator", "{}")
        #expect(facts["crypto_provider"] as? String == "fips" && facts["fips_required"] as? Bool == true, "\(facts)")

        // Registration, sign-in, tokens that are signed and verified, a vault that seals and opens, a rotation.
        let walk = try await system.walk(address: "approved@example.com", password: SystemTests.password)
        #expect(walk.status == 0, "\(walk.errors)\n\(walk.output)\n\(system.logText.suffix(4000))")

        // What the walk does not come to: a key for each object (HKDF), one that is wrapped elsewhere (RSA-OAEP, AES-KWP), ES256.
        for key in [["objects", "--usage", "AEAD", "--derived"], ["other", "--usage", "SIGN", "--algorithm", "ES256"]] {
            let made = try await system.lockstep(["keys", "create"] + key + ["--state", system.state.path])
            #expect(made.status == 0, "\(made.errors)")
        }
        let brought = try await system.shell(
            """
            set -e; cd '\(system.state.path)'; unset OPENSSL_CONF OPENSSL_MODULES
            "$LOCKSTEP" keys wrapping-key --state . > wrapping.pem
            openssl rand 32 > transport; openssl rand 32 > material
            openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in transport -out first \
              -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
            openssl enc -id-aes256-wrap-pad -iv A65959A6 -K $(od -An -v -tx1 transport | tr -d ' \\n') -in material > second
            cat first second > wrapped
            "$LOCKSTEP" keys import brought --usage AEAD --wrapped wrapped --state .
            """)
        #expect(brought.status == 0, "\(brought.errors)")
        let listed = try await system.lockstep(["keys", "list", "--state", system.state.path])
        for name in ["objects", "other", "brought"] { #expect(listed.output.contains(name), "\(listed.output)") }
    }

    /// The module without what its self tests wrote: it is there, and refuses to work.
    @Test(
        "FIPS 140-3: a FIPS provider that was not installed whole does not serve",
        .enabled(if: FIPSProvider.isThere, "There is no FIPS provider: `make build` said why."))
    func aModuleAlone() async throws {
        let directory = try TemporaryDirectory()
        let certificates = try await run(
            Places.binaries.appending(path: "lockstep"), ["certs", "--state", directory.path("state")])
        try #require(certificates.status == 0, "\(certificates.errors)")
        let settings = Self.required(.asInReadme).merging([
            "OPENSSL_CONF": "/dev/null", "LOCKSTEP_STATE": directory.path("state"), "LOCKSTEP_ENCRYPTION_KEYRING_CREATE": "true",
        ]) { $1 }
        let refused = try await run(Places.binaries.appending(path: "encryption"), [], environment: settings)
        #expect(refused.status == 78)
        #expect(refused.errors.contains("encryption.fips is `required`, but OpenSSL's provider `fips` does not load ("))
        #expect(refused.errors.contains("openssl fipsinstall"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: directory.path("state/keyring")))
    }
}
