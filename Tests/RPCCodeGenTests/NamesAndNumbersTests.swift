import Testing

@testable import RPCCodeGen

@Suite struct NamesAndNumbersTests {
    @Test(arguments: [
        ("VerifyEmail", "verifyEmail"), ("JWKS", "jwks"), ("HTTPPing", "httpPing"), ("GetJWKS", "getJWKS"),
        ("Send", "send"), ("X", "x"), ("Repeat", "`repeat`"), ("lower", "lower"), ("A1", "a1"),
    ])
    func methodNames(contract: String, swift: String) {
        #expect(SwiftName.member(contract) == swift)
    }

    /// FIPS 180-4's own examples, and lengths around a block's end.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (String(repeating: "a", count: 1000), "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"),
        (String(repeating: "a", count: 55), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (String(repeating: "a", count: 64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
    ])
    func sha256(text: String, digest: String) {
        #expect(SHA256.hex(of: text.utf8) == digest)
    }

    /// Ids are on the wire: a changed one is a broken peer. The numbers are from another implementation of SHA-256.
    @Test(arguments: [
        ("lockstep.auth.v1.AuthService/CreateSession", 0x80cf_e993),
        ("lockstep.auth.v1.AuthService/RefreshTokens", 0x1c66_76da),
        ("lockstep.encryption.v1.PasswordService/Verify", 0x78a0_1f67),
        ("lockstep.encryption.v1.JWTService/JWKS", 0x79c4_bd10),
        ("lockstep.token.v1.TokenService/GetAccessToken", 0x27d7_75dd),
        ("lockstep.email.v1.EmailService/Send", 0x2b40_d984),
        ("lockstep.runtime.v1.HealthService/Check", 0xbe91_77ef),
    ] as [(String, UInt32)])
    func methodIDsAreStable(name: String, id: UInt32) throws {
        let contract = ContractModel(files: try Descriptors.contract())
        let ids = withExtendedLifetime(contract) { $0.methods.filter { $0.fullName == name }.map(\.id) }
        #expect(ids == [id])
    }

    @Test func fingerprintsDifferWithTheContractOnly() throws {
        let prints = try Self.fingerprints()
        #expect(Set(prints.values.map(\.value)).count == prints.count)
        #expect(try prints.mapValues(\.value) == Self.fingerprints().mapValues(\.value))
        let canonical = try #require(prints["AuthService"]).canonical
        #expect(canonical.contains("class: SECRET") && canonical.contains("callers: \"gateway\""))
        #expect(!canonical.contains("Signs in with address and password"), "comments are no part of the contract")
    }

    private static func fingerprints() throws -> [String: Fingerprint] {
        let contract = ContractModel(files: try Descriptors.contract())
        return withExtendedLifetime(contract) {
            Dictionary(uniqueKeysWithValues: $0.services.map { ($0.name, Fingerprint($0)) })
        }
    }

    @Test func unknownOptionsAreNamed() {
        #expect { try Options(pairs: [("Visibility", "Private")]) } throws: { "\($0)".contains("Visibility=Private") }
        #expect { try Options(pairs: [("Speed", "1")]) } throws: { "\($0)".contains("unknown option Speed") }
        #expect(throws: Never.self) { try Options(pairs: [("Visibility", "Public"), ("Output", "Clients")]) }
    }

    @Test func publicVisibilityReachesEverything() throws {
        var options = Options()
        options.visibility = .public
        for file in try Generator.generate(Descriptors.contract(), options) {
            #expect(!file.text.contains("\npackage ") && !file.text.contains("    package "), "\(file.name)")
            #expect(file.text.contains("public import RPCCore"))
        }
    }
}
