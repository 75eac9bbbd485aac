import ContractClients
import Contracts
import LibCrypto
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Passkeys, with an authenticator in software.
@Suite(.everyEngine) struct PasskeyTests: PasskeySteps {
    @Test("WebAuthn 3 7.1, 7.2: a passkey is registered and signs in, with either algorithm")
    func aPasskeySignsIn() async throws {
        for device in [SoftAuthenticator.es256(), .edDSA()] {
            let fixture = try await Fixture()
            let ada = try await person(fixture)
            _ = try await fixture.mails()
            let options = try await begin(ada)
            #expect(options.rpID == "localhost" && options.userName == "ada@example.com" && options.algorithms == [-8, -7])
            #expect(SoftAuthenticator.decoded(options.userHandle) == Array(ada.user.userID.utf8))
            #expect(SoftAuthenticator.decoded(options.challenge).count == 32)
            let made = try await ada.passkeys.createPasskey(creation(device, options.challenge), CallOptions())
            #expect(made.name == "laptop" && !made.synced && !made.hasLastUsedAt)
            #expect(try await fixture.mails().map(\.template) == [.secondFactorChanged])
            fixture.clock.advance(by: .seconds(100))
            let tokens = try await signIn(device, ada, fixture)
            #expect(try await fixture.isLive(tokens.sessionID))
            let signed = fixture.tokens.newest
            #expect(signed.subject == ada.user.userID && signed.amr == ["pop", "user", "mfa"])
            #expect(signed.acr.hasSuffix("aal2") && signed.authTime == fixture.clock.now.microseconds / 1_000_000)
            #expect(try await ada.passkeys.listPasskeys(.init(), CallOptions()).passkeys[0].hasLastUsedAt)
            #expect(try await fixture.audit().contains("authn_passkey_added"))
        }
    }

    @Test("RFC 8176: nobody attests where a key is kept, so it is neither hardware's nor software's")
    func aSyncedPasskeyIsNoOthers() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        var device = SoftAuthenticator.es256()
        device.flags = 0x05 | 0x08
        #expect(try await register(device, ada).synced)
        device.flags |= 0x10
        _ = try await signIn(device, ada, fixture)
        #expect(fixture.tokens.newest.amr == ["pop", "user", "mfa"])
        device.flags = 0x05
        let changed = try assertion(device, try await challenge(fixture), user: ada.user.userID)
        #expect(await isRefused(changed, fixture), "what it was registered as it stays (7.2, step 19)")
    }

    @Test("WebAuthn 3 13.4.3: a challenge works once, in its session, in its time")
    func aChallengeWorksOnce() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        let (ada, eve) = (try await person(fixture), try await person(fixture, "eve@example.com"))
        let device = SoftAuthenticator.es256()
        let created = creation(device, try await begin(ada).challenge)
        #expect(await refusal { _ = try await eve.passkeys.createPasskey(created, CallOptions()) } == "passkey_refused")
        _ = try await ada.passkeys.createPasskey(created, CallOptions())
        let shown = try await again(device, ada, fixture)
        let further = creation(.edDSA(), try await begin(shown).challenge)
        _ = try await shown.passkeys.createPasskey(further, CallOptions())
        #expect(await refusal { _ = try await shown.passkeys.createPasskey(further, CallOptions()) } == "passkey_refused")
        let forSigningIn = creation(.edDSA(), try await challenge(fixture))
        #expect(await refusal { _ = try await shown.passkeys.createPasskey(forSigningIn, CallOptions()) } == "passkey_refused")
        let forRegistering = try assertion(device, try await begin(shown).challenge, user: ada.user.userID)
        #expect(await isRefused(forRegistering, fixture))
        let late = try assertion(device, try await challenge(fixture), user: ada.user.userID)
        fixture.clock.advance(by: AuthPolicy.passkeyChallengeLifetime)
        #expect(await isRefused(late, fixture))
        let invented = SoftAuthenticator.base64URL([UInt8](repeating: 7, count: 32))
        #expect(await isRefused(try assertion(device, invented, user: ada.user.userID), fixture))
        let once = try assertion(device, try await challenge(fixture), user: ada.user.userID)
        let winners = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<8 {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    await refusal { _ = try await fixture.passkeys(handler: handler).createPasskeySession(once, CallOptions()) } == nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
    }

    @Test("WebAuthn 3 7.1, 7.2: another origin, domain, type, user or signature, or no user verification, is refused")
    func whatIsWrongIsRefused() async throws {
        let fixture = try await Fixture()
        let (ada, eve) = (try await person(fixture), try await person(fixture, "eve@example.com"))
        let good = SoftAuthenticator.es256()
        var bad: [SoftAuthenticator] = []
        for change in [
            { $0.origin = "https://localhost.evil.example" }, { $0.origin = "http://localhost:8443" }, { $0.domain = "example.com" },
            { $0.isCrossOrigin = true }, { $0.flags = 0x01 }, { $0.flags = 0x04 }, { $0.flags = 0x05 | 0x10 },
            { $0.flags = 0x05 | 0x02 },
        ] as [(inout SoftAuthenticator) -> Void] {
            var device = good
            change(&device)
            bad.append(device)
        }
        var packed = good
        packed.format = "packed"
        for device in bad + [packed] {
            let request = creation(device, try await begin(ada).challenge)
            #expect(await refusal { _ = try await ada.passkeys.createPasskey(request, CallOptions()) } == "passkey_refused")
        }
        try await register(good, ada)
        for device in bad {
            #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        }
        var other = try assertion(good, try await challenge(fixture), user: eve.user.userID)
        #expect(await isRefused(other, fixture), "a passkey of hers is nobody else's")
        other = try assertion(good, try await challenge(fixture), user: ada.user.userID)
        other.signature = SoftAuthenticator.base64URL(try SoftAuthenticator.es256().signature([1], [2]))
        #expect(await isRefused(other, fixture))
        let swapped = SoftAuthenticator.edDSA()
        try await register(swapped, eve)
        other = try assertion(good, try await challenge(fixture), user: eve.user.userID)
        other.credentialID = SoftAuthenticator.base64URL(swapped.credentialID)
        #expect(await isRefused(other, fixture), "another's key")
        // The challenge of a get in the data of a create.
        let challenge = try await challenge(fixture)
        other = try assertion(good, challenge, user: ada.user.userID)
        other.clientDataJson = SoftAuthenticator.base64URL(good.clientData("webauthn.create", challenge: challenge))
        #expect(await isRefused(other, fixture))
        let shown = try await again(swapped, eve, fixture)
        #expect(await refusal { try await register(good, shown) } == "passkey_refused", "a credential is one user's")
        _ = try await signIn(good, ada, fixture)
    }

    @Test("WebAuthn 3 6.1.1: a counter that goes back is refused and reported")
    func aCounterThatGoesBackIsReported() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        var device = SoftAuthenticator.edDSA()
        device.count = 5
        try await register(device, ada)
        device.count = 6
        _ = try await signIn(device, ada, fixture)
        for count in [6, 1, 0] as [UInt32] {
            device.count = count
            #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        }
        #expect(try await fixture.audit().count { $0 == "authn_passkey_counter" } == 3)
        device.count = 7
        _ = try await signIn(device, ada, fixture)
    }

    @Test func severalPasskeysHaveNamesAndOneIsRemoved() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let (laptop, phone) = (SoftAuthenticator.es256(), SoftAuthenticator.edDSA())
        let first = try await register(laptop, ada, name: "laptop")
        fixture.clock.advance(by: .seconds(1))
        let shown = try await again(laptop, ada, fixture)
        try await register(phone, shown, name: "phone")
        #expect(try await begin(shown).excludeCredentials.count == 2)
        #expect(try await shown.passkeys.listPasskeys(.init(), CallOptions()).passkeys.map(\.name) == ["laptop", "phone"])
        let export = try await fixture.account(shown.session, ada.user.userID).exportUserData(.init(), CallOptions())
        #expect(export.passkeys.map(\.name) == ["laptop", "phone"])
        let other = try await signIn(phone, ada, fixture)
        var delete = AuthDeletePasskeyRequest()
        delete.passkeyID = first.passkeyID
        let eve = try await person(fixture, "eve@example.com")
        #expect(await refusal { _ = try await eve.passkeys.deletePasskey(delete, CallOptions()) } == "passkey_not_found")
        _ = try await shown.passkeys.deletePasskey(delete, CallOptions())
        #expect(try await !fixture.isLive(other.sessionID), "other sessions end")
        #expect(await isRefused(try assertion(laptop, try await challenge(fixture), user: ada.user.userID), fixture))
        _ = try await signIn(phone, ada, fixture)
    }

    @Test func whoMayNotSignInMayNotWithAPasskey() async throws {
        let fixture = try await Fixture()
        let ada = try await person(fixture)
        let device = SoftAuthenticator.es256()
        #expect(
            await refusal { _ = try await ada.passkeys.beginPasskey(.with { $0.currentPassword = "wrong" }, CallOptions()) }
                == "invalid_credentials")
        try await register(device, ada)
        let origin = Origin(address: "", userAgent: "", requestID: "r")
        _ = try await fixture.handler.store.disable(ada.user.userID, by: .operator, origin)
        #expect(await isRefused(try assertion(device, try await challenge(fixture), user: ada.user.userID), fixture))
        let passkey = try #require(try await fixture.handler.store.passkey(credential: device.credentialID))
        let late = NewSession(
            id: "ses_late", refreshToken: try OpaqueToken(.refresh), userID: ada.user.userID, roles: "user",
            proof: .passkey(PasskeyProof(passkey: passkey, signCount: 0)), authenticatedAt: fixture.clock.now)
        await #expect(throws: AuthError.invalidPasskey) { try await fixture.handler.store.startSession(late, origin) }
    }
}

/// The decoder of what authenticators write.
@Suite struct CBORTests {
    @Test("RFC 8949 appendix A: what is taken, and what is not", arguments: [
        ("00", CBOR.int(0)), ("17", .int(23)), ("1818", .int(24)), ("1903e8", .int(1000)), ("1b7fffffffffffffff", .int(.max)),
        ("20", .int(-1)), ("3903e7", .int(-1000)), ("3b7fffffffffffffff", .int(.min)), ("4401020304", .bytes([1, 2, 3, 4])),
        ("6449455446", .text("IETF")), ("80", .array([])), ("83010203", .array([.int(1), .int(2), .int(3)])), ("a0", .map([:])),
        ("a201020304", .map([.int(1): .int(2), .int(3): .int(4)])), ("f4", .bool(false)), ("f5", .bool(true)), ("f6", .null),
        ("1800", nil), ("190017", nil), ("1a0000ffff", nil), ("1bffffffffffffffff", nil), ("3bffffffffffffffff", nil),
        ("5f", nil), ("5f4101ff", nil), ("9f01ff", nil), ("c074", nil), ("f90000", nil), ("f7", nil), ("ff", nil), ("1c", nil),
        ("61ff", nil), ("a2010201 02".filter { $0 != " " }, nil), ("a1410102", nil), ("8181818181818100", nil), ("0000", nil),
        ("", nil), ("62", nil), ("9b7fffffffffffffff", nil), ("bb7fffffffffffffff", nil), ("5b7fffffffffffffff", nil),
    ] as [(String, CBOR?)])
    func vectors(hex: String, expected: CBOR?) throws {
        #expect((try? CBOR.decode(try #require(Hex.decode(hex)))) == expected)
    }

    /// Each byte of a good registration and a good key changed to every value, and each length: an answer, never a trap.
    @Test func anyBytesHaveAnAnswer() throws {
        let seed = UInt64.random(in: 1...UInt64.max)
        print("passkey fuzz seed: \(seed)")
        var state = seed
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let party = AuthPolicy().relyingParty
        let clientData = Array("client data".utf8)
        var taken = 0
        for device in [SoftAuthenticator.es256(), .edDSA()] {
            let good = device.attestationObject()
            _ = try party.register(attestation: good, clientData: clientData)
            for index in good.indices {
                for value in UInt8.min...UInt8.max {
                    var bytes = good
                    bytes[index] = value
                    if (try? party.register(attestation: bytes, clientData: clientData)) != nil { taken += 1 }
                    if value == 0 { _ = try? party.register(attestation: Array(good.prefix(index)), clientData: clientData) }
                }
            }
            for _ in 0..<20_000 {
                var bytes = good
                for _ in 0...(next() % 4) {
                    let index = Int(next() % UInt64(bytes.count))
                    switch next() % 3 {
                    case 0: bytes[index] = UInt8(truncatingIfNeeded: next())
                    case 1: bytes.insert(UInt8(truncatingIfNeeded: next()), at: index)
                    default: bytes.remove(at: index)
                    }
                }
                _ = try? party.register(attestation: bytes, clientData: clientData)
                _ = AuthenticatorData(bytes)
                _ = try? CBOR.decode(bytes)
                _ = try? party.challenge(bytes, .get)
            }
            let signature = try device.signature([1, 2, 3], [4])
            let key = try #require(CredentialKey(cose: try CBOR.decode(device.publicKey)))
            let message = [1, 2, 3] + (try LibCrypto.SHA256.hash([4] as [UInt8]))
            #expect(key.isValid(signature, for: message), "seed \(seed)")
            for index in signature.indices {
                for bit in 0..<8 {
                    var bytes = signature
                    bytes[index] ^= 1 << UInt8(bit)
                    #expect(!key.isValid(bytes, for: message), "seed \(seed)")
                }
                #expect(!key.isValid(Array(signature.prefix(index)), for: message))
            }
        }
        // Only what nothing depends on may change: the counter, the model, the credential's id, the key itself, a flag.
        #expect(taken > 0)
    }

    @Test("WebAuthn 3 8.2: of an attestation by the passkey's own key no bit may change")
    func everyBitOfASelfAttestationCounts() throws {
        let party = AuthPolicy().relyingParty
        let clientData = Array("client data".utf8)
        for device in [SoftAuthenticator.es256(), .edDSA()] {
            let good = try device.selfAttestation(clientData)
            _ = try party.register(attestation: good, clientData: clientData)
            var taken = 0
            for index in good.indices {
                for bit in 0..<8 {
                    var bytes = good
                    bytes[index] ^= 1 << UInt8(bit)
                    if (try? party.register(attestation: bytes, clientData: clientData)) != nil { taken += 1 }
                }
                if (try? party.register(attestation: Array(good.prefix(index)), clientData: clientData)) != nil { taken += 1 }
            }
            #expect(taken == 0)
            #expect((try? party.register(attestation: good, clientData: clientData + [0])) == nil)
        }
    }
}
