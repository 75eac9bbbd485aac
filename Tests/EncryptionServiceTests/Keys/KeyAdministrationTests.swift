import Contracts
import Foundation
import JOSE
import LibCrypto
import RPCCore
import TestSupport
import Testing

@testable import EncryptionService

/// A keyring with an administration, and a policy that lets `token` use everything.
struct Desk {
    let parts: Parts
    let events = Events()
    let keeper: KeyringKeeper
    let administration: KeyAdministration
    let vault: Vault
    let operatorCaller: KeyAdministration.Caller
    let token: PeerIdentity

    init(limits: UsageLimits = .standard, parts: Parts? = nil) throws {
        self.parts = try parts ?? Parts()
        keeper = try self.parts.open(create: true, limits: limits, report: events.report)
        administration = try self.parts.administration(keeper)
        vault = Vault(
            keeper: keeper, policy: try KeyPolicy(["token": ["*": KeyOperation.allCases]]), clock: self.parts.clock.read)
        operatorCaller = try administrator()
        token = try service("token")
    }

    func create(
        _ name: String, _ kind: KeyKind = .aead, options: KeyOptions = KeyOptions(), settings: KeySettings = KeySettings()
    ) throws {
        try administration.create(
            KeyAdministration.Blueprint(name: name, kind: kind, options: options, settings: settings), caller: operatorCaller)
        #expect(events.change())
    }

    func rotate(_ name: String) throws {
        _ = try administration.rotate(name, caller: operatorCaller)
        #expect(events.change())
    }

    func configure(_ name: String, _ change: (inout KeySettingsChange) -> Void) throws {
        try administration.configure(name, caller: operatorCaller, change: change)
        #expect(events.change())
    }

    func seal(_ key: String, version: UInt32 = 0, context: [UInt8] = [7]) throws -> [UInt8] {
        try vault.encrypt([1, 2, 3], key: key, context: context, version: version, caller: token).ciphertext
    }

    func open(_ ciphertext: [UInt8], _ key: String, context: [UInt8] = [7]) throws -> [UInt8] {
        try vault.decrypt(ciphertext, key: key, context: context, caller: token)
    }

    /// What a restart makes of the files.
    func restarted() throws -> Desk {
        keeper.stop()
        return try Desk(parts: parts)
    }
}

@Suite struct KeyAdministrationTests {
    @Test func aNewKeyOutlivesTheProcessWithItsOptions() throws {
        let desk = try Desk()
        var settings = KeySettings()
        settings.rotateAfter = 86_400
        settings.rotateAfterUses = 1000
        try desk.create("a", options: KeyOptions(isExportable: true, isDerived: true), settings: settings)
        try desk.create("b", .mac)
        try desk.create("c", .sign(.es256))
        let sealed = try desk.seal("a")
        let again = try desk.restarted()
        let key = try #require(again.keeper.keyring["a"])
        #expect(key.options == KeyOptions(isExportable: true, isDerived: true) && key.settings == settings)
        #expect(again.keeper.keyring["b"]?.kind == .mac && again.keeper.keyring["c"]?.kind == .sign(.es256))
        #expect(try again.open(sealed, "a") == [1, 2, 3])
        again.keeper.stop()
    }

    @Test func aKeyIsMadeOnce() throws {
        let desk = try Desk()
        try desk.create("a")
        #expect(throws: EncryptionError.keyExists("a")) {
            try desk.administration.create(
                KeyAdministration.Blueprint(name: "a", kind: .mac), caller: desk.operatorCaller)
        }
        #expect(throws: EncryptionError.self) {
            try desk.administration.create(
                KeyAdministration.Blueprint(name: "a b", kind: .mac), caller: desk.operatorCaller)
        }
        desk.keeper.stop()
    }

    @Test("ASVS 13.3.2: only the operator administers keys", arguments: ["auth", "token", "email", "gateway"])
    func onlyTheOperator(_ caller: String) throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        let other = KeyAdministration.Caller(peer: try service(caller))
        let denied: [(KeyOperation, () throws -> Void)] = [
            (.create, { try desk.administration.create(.init(name: "token-vault", kind: .aead), caller: other) }),
            (.importKey, { try desk.administration.importKey(.init(name: "token-vault", kind: .aead), wrapped: [], caller: other) }),
            (.rotate, { _ = try desk.administration.rotate("token-vault", caller: other) }),
            (.configure, { try desk.administration.configure("token-vault", caller: other) { _ in } }),
            (.disable, { try desk.administration.disable("token-vault", caller: other) }),
            (.disable, { try desk.administration.enable("token-vault", caller: other) }),
            (.destroy, { _ = try desk.administration.scheduleDestruction("token-vault", days: 7, caller: other) }),
            (.destroy, { try desk.administration.cancelDestruction("token-vault", caller: other) }),
            (.export, { _ = try desk.administration.export("token-vault", version: 0, caller: other) }),
        ]
        for (operation, attempt) in denied {
            #expect(throws: EncryptionError.denied(caller: caller, key: "token-vault", operation: operation)) { try attempt() }
        }
    }

    @Test("SP 800-57 5.3: the contract lets the operator alone administer") func theContractToo() {
        for method in KeyServiceContract.service.methods + [EncryptionServiceContract.rotateKey] {
            #expect(method.callers == ["operator"] && method.exposure == .internal, "\(method.name)")
        }
    }

    @Test("ASVS 11.2.2: what is older than min_decryption_version is refused, as every failure is")
    func leastDecryptionVersion() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        let old = try desk.seal("a")
        try desk.rotate("a")
        let new = try desk.rewrapped(old, "a")
        #expect(try desk.open(old, "a") == [1, 2, 3])
        try desk.configure("a") { $0.minDecryption = 2 }
        #expect(throws: EncryptionError.decryptionFailed) { try desk.open(old, "a") }
        #expect(throws: EncryptionError.decryptionFailed) { try desk.rewrapped(old, "a") }
        #expect(try desk.open(new, "a") == [1, 2, 3])
        // The version is refused, not gone.
        try desk.configure("a") { $0.minDecryption = 1 }
        #expect(try desk.open(old, "a") == [1, 2, 3])
    }

    /// The clock is set back to before the newest version: what nobody could open is not sealed either.
    @Test func aClockThatIsSetBackSealsNothingThatNobodyOpens() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        desk.parts.clock.advance(seconds: 100)
        try desk.rotate("a")
        try desk.configure("a") { $0.minDecryption = 2 }
        desk.parts.clock.advance(seconds: -50)
        let sealed = try desk.seal("a")
        #expect(sealed[4] == 2)
        #expect(try desk.open(sealed, "a") == [1, 2, 3])
    }

    @Test func leastEncryptionVersion() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        try desk.rotate("a")
        try desk.rotate("a")
        #expect(try desk.seal("a", version: 1)[4] == 1)
        try desk.configure("a") { $0.minEncryption = 2 }
        #expect(throws: EncryptionError.unknownVersion(key: "a", 1)) { try desk.seal("a", version: 1) }
        #expect(try desk.seal("a", version: 2)[4] == 2)
        #expect(try desk.seal("a")[4] == 3)
        #expect(throws: EncryptionError.unknownVersion(key: "a", 4)) { try desk.seal("a", version: 4) }
    }

    @Test func boundsOfVersions() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        try desk.rotate("a")
        let wrong: [(inout KeySettingsChange) -> Void] = [
            { $0.minDecryption = 0 }, { $0.minDecryption = 3 }, { $0.minEncryption = 3 },
            { ($0.minDecryption, $0.minEncryption) = (2, 1) }, { $0.rotateAfter = 86_399 }, { $0.rotateAfter = 315_360_001 },
            { $0.rotateAfterUses = 1 << 31 + 1 },
        ]
        for (index, change) in wrong.enumerated() {
            do {
                try desk.administration.configure("a", caller: desk.operatorCaller, change: change)
                Issue.record("taken: \(index)")
            } catch {
                #expect(RPCError.fromHandler(error).code == .invalidArgument, "\(index)")
            }
        }
    }

    @Test func aDisabledKeyDoesNothing() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        let sealed = try desk.seal("a")
        try desk.administration.disable("a", caller: desk.operatorCaller)
        #expect(desk.events.change())
        #expect(throws: EncryptionError.keyDisabled(key: "a")) { try desk.seal("a") }
        #expect(throws: EncryptionError.keyDisabled(key: "a")) { try desk.open(sealed, "a") }
        #expect(throws: EncryptionError.keyDisabled(key: "a")) { try desk.rewrapped(sealed, "a") }
        #expect(try desk.administration.describe("a", caller: service("operator")).key?.state == .disabled)
        try desk.administration.enable("a", caller: desk.operatorCaller)
        #expect(desk.events.change())
        #expect(try desk.open(sealed, "a") == [1, 2, 3])
    }

    @Test func aDisabledSigningKeyIsNotPublished() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        let authority = try desk.parts.authority(desk.keeper)
        let request = TokenAuthority.Request(subject: "u", audience: "a", session: nil, roles: [], lifetime: 60)
        let token = try authority.sign(request, key: "access-token", caller: service("auth")).token
        try desk.administration.disable("access-token", caller: desk.operatorCaller)
        #expect(desk.events.change())
        #expect(throws: EncryptionError.keyDisabled(key: "access-token")) {
            try authority.sign(request, key: "access-token", caller: service("auth"))
        }
        #expect(try authority.publicKeys(caller: service("gateway")).keys.isEmpty)
        #expect(throws: EncryptionError.self) { try authority.verify(token, audience: "a", caller: service("gateway")) }
    }

    @Test("AWS KMS: a key waits 7 to 30 days for its destruction, unused, and is then gone") func destruction() throws {
        let desk = try Desk()
        try desk.create("a")
        let sealed = try desk.seal("a")
        for days: UInt32 in [1, 6, 31] {
            #expect(throws: EncryptionError.self) {
                try desk.administration.scheduleDestruction("a", days: days, caller: desk.operatorCaller)
            }
        }
        let time = try desk.administration.scheduleDestruction("a", days: 7, caller: desk.operatorCaller)
        #expect(time == desk.parts.clock.now + 7 * 86_400 * 1_000_000)
        #expect(desk.events.change())
        #expect(throws: EncryptionError.keyPendingDestruction(key: "a")) { try desk.open(sealed, "a") }
        #expect(throws: EncryptionError.keyPendingDestruction(key: "a")) { try desk.seal("a") }
        #expect(throws: EncryptionError.keyPendingDestruction(key: "a")) {
            try desk.administration.enable("a", caller: desk.operatorCaller)
        }
        // One second before the end it can be taken back; then it is disabled.
        desk.parts.clock.advance(seconds: 7 * 86_400 - 1)
        let again = try desk.restarted()
        try again.administration.cancelDestruction("a", caller: again.operatorCaller)
        #expect(again.events.change())
        #expect(again.keeper.keyring["a"]?.state == .disabled)
        try again.administration.enable("a", caller: again.operatorCaller)
        #expect(again.events.change())
        #expect(try again.open(sealed, "a") == [1, 2, 3])
        // The whole period.
        _ = try again.administration.scheduleDestruction("a", days: 0, caller: again.operatorCaller)
        #expect(again.events.change())
        again.parts.clock.advance(seconds: 30 * 86_400)
        again.keeper.look()
        #expect(again.events.change())
        #expect(again.events.told.last == "DESTROY a 0 by keyring")
        #expect(again.keeper.keyring["a"] == nil)
        #expect(throws: EncryptionError.decryptionFailed) { try again.open(sealed, "a") }
        let last = try again.restarted()
        #expect(last.keeper.keyring["a"] == nil)
        last.keeper.stop()
    }

    @Test("ASVS 11.2.2: deleting a key in use is refused") func aKeyThatConfigurationWants() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        #expect(throws: EncryptionError.keyInUse("token-vault")) {
            try desk.administration.scheduleDestruction("token-vault", days: 7, caller: desk.operatorCaller)
        }
    }

    /// Configuration has come to want a key that waits for its destruction.
    @Test("ASVS 11.2.2: a key that configuration names is not destroyed when its time has come") func aKeyThatIsWantedByNow() throws {
        let desk = try Desk()
        try desk.create("a")
        _ = try desk.administration.scheduleDestruction("a", days: 7, caller: desk.operatorCaller)
        #expect(desk.events.change())
        desk.keeper.stop()
        desk.parts.clock.advance(seconds: 8 * 86_400)
        let events = Events()
        let keeper = try desk.parts.open(wanted: Parts.wanted + ["a:AEAD"].compactMap(KeySpecification.init), report: events.report)
        defer { keeper.stop() }
        #expect(events.told == ["refused a: keyInUse(\"a\")"])
        // The thread has looked at what is due.
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        #expect(keeper.keyring["a"]?.versions.count == 1)
        try keeper.request(.cancelDestruction, of: "a", by: KeyActor(name: "operator"))
        #expect(events.change())
        #expect(keeper.keyring["a"]?.state == .disabled)
    }

    @Test("ASVS 13.3.2: no key leaves that was not made exportable, and none before the audit log says so")
    func export() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        #expect(throws: EncryptionError.notExportable(key: "token-vault")) {
            try desk.administration.export("token-vault", version: 0, caller: desk.operatorCaller)
        }
        try desk.create("a", options: KeyOptions(isExportable: true))
        #expect(throws: EncryptionError.exportPending(key: "a")) {
            try desk.administration.export("a", version: 0, caller: desk.operatorCaller)
        }
        #expect(desk.events.change())
        let exported = try desk.administration.export("a", version: 0, caller: desk.operatorCaller)
        let sealed = try desk.seal("a")
        let opened = try AEAD.open(
            sealed.dropFirst(5), key: SymmetricKey(bytes: exported.material),
            aad: Ciphertext.aad(key: "a", version: 1, context: [7]))
        #expect(opened == [1, 2, 3] && exported.version == 1)
        // Each export is one record: the next asks anew, and one that nobody fetched lapses.
        #expect(throws: EncryptionError.exportPending(key: "a")) {
            try desk.administration.export("a", version: 0, caller: desk.operatorCaller)
        }
        #expect(desk.events.change())
        desk.parts.clock.advance(seconds: 61)
        #expect(throws: EncryptionError.exportPending(key: "a")) {
            try desk.administration.export("a", version: 0, caller: desk.operatorCaller)
        }
        #expect(desk.events.change())
    }

    @Test("RFC 5869: a derived key has a key for each context, and none without") func derived() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a", options: KeyOptions(isExportable: true, isDerived: true))
        let sealed = try desk.seal("a")
        #expect(try desk.open(sealed, "a") == [1, 2, 3])
        #expect(throws: EncryptionError.decryptionFailed) { try desk.open(sealed, "a", context: [8]) }
        #expect(throws: EncryptionError.contextRequired(key: "a")) { try desk.seal("a", context: []) }
        #expect(throws: EncryptionError.decryptionFailed) { try desk.open(sealed, "a", context: []) }
        // The version's own key opens nothing; what HKDF makes of it does.
        guard case .aead(let secret, _)? = desk.keeper.keyring["a"]?.versions[0].material else {
            Issue.record("no AEAD key")
            return
        }
        let aad = Ciphertext.aad(key: "a", version: 1, context: [7])
        #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed.dropFirst(5), key: secret, aad: aad) }
        let derived = try secret.withUnsafeBytes {
            try HKDF.sha256($0, salt: [UInt8](), info: Array("lockstep derived key v1".utf8) + aad, count: 32)
        }
        #expect(try AEAD.open(sealed.dropFirst(5), key: SymmetricKey(bytes: derived), aad: aad) == [1, 2, 3])
        #expect(throws: EncryptionError.self) {
            try desk.administration.create(
                .init(name: "b", kind: .mac, options: KeyOptions(isDerived: true)), caller: desk.operatorCaller)
        }
    }

    @Test("RFC 5869: in a batch, too, a derived key has a key for each context") func derivedInABatch() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a", options: KeyOptions(isDerived: true))
        let handler = EncryptionHandler(vault: desk.vault, administration: desk.administration)
        func context(_ method: MethodDescriptor) -> CallContext {
            CallContext(method: method, peer: desk.token, deadline: .after(.seconds(60)), requestID: RequestID())
        }
        let request: [UInt8] = try EncryptionBatchEncryptRequest.with {
            $0.keyName = "a"
            $0.items = ([[7], [8], []] as [[UInt8]]).map { context in
                .with {
                    $0.plaintext = Data([1, 2, 3])
                    $0.context = Data(context)
                }
            }
        }.serializedBytes()
        let sealed = try EncryptionBatchEncryptResponse(
            serializedBytes: handler.batchEncrypt(request.span.bytes, context(EncryptionServiceContract.batchEncrypt))
        ).results
        #expect(sealed.map(\.error.reason) == ["", "", "invalid_request"])
        #expect(try desk.open(Array(sealed[0].ciphertext), "a") == [1, 2, 3])
        let again: [UInt8] = try EncryptionBatchDecryptRequest.with {
            $0.keyName = "a"
            $0.items = ([(0, 7), (1, 8), (0, 8)] as [(Int, UInt8)]).map { index, context in
                .with {
                    $0.ciphertext = sealed[index].ciphertext
                    $0.context = Data([context])
                }
            }
        }.serializedBytes()
        let opened = try EncryptionBatchDecryptResponse(
            serializedBytes: handler.batchDecrypt(again.span.bytes, context(EncryptionServiceContract.batchDecrypt))
        ).results
        #expect(opened.map(\.plaintext) == [Data([1, 2, 3]), Data([1, 2, 3]), Data()])
        #expect(opened.map(\.hasError) == [false, false, true])
    }

    @Test func oneChangeAtATime() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        // With the thread gone what is asked for stays asked for.
        keeper.stop()
        let actor = KeyActor(name: "operator")
        try keeper.request(.disable, of: "token-vault", by: actor)
        try keeper.request(.disable, of: "token-vault", by: actor)
        #expect(throws: EncryptionError.changePending(key: "token-vault", "DISABLE")) {
            try keeper.request(.rotate, of: "token-vault", by: actor)
        }
        try keeper.request(.create(.mac, KeyOptions(), KeySettings()), of: "new", by: actor)
        let administration = try parts.administration(keeper)
        let described = try administration.describe("new", caller: service("operator"))
        #expect(described.key == nil && described.change?.action == "CREATE")
        #expect(try administration.list(caller: service("operator")).map(\.name) == [
            "access-token", "email-outbox", "new", "token-vault",
        ])
    }

    @Test("SP 800-57 5.3.6: a key is rotated by age, once, also when nobody calls") func rotationByAge() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        var settings = KeySettings()
        settings.rotateAfter = 86_400
        try desk.create("a", settings: settings)
        try desk.create("t", .sign(.edDSA), settings: settings)
        desk.parts.clock.advance(seconds: 86_400 - 300)
        desk.keeper.look()
        // The signing key's next version comes ahead of time, so that it is known when it signs.
        #expect(desk.events.change())
        #expect(desk.events.told.last == "ROTATE t 2 by keyring")
        let early = try #require(desk.keeper.keyring["t"])
        #expect(early.primary(at: desk.parts.clock.now).number == 1)
        desk.parts.clock.advance(seconds: 300)
        #expect(early.primary(at: desk.parts.clock.now).number == 2)
        desk.keeper.look()
        #expect(desk.events.change())
        #expect(desk.events.told.last == "ROTATE a 2 by keyring")
        desk.keeper.stop()
        #expect(desk.keeper.keyring["a"]?.versions.count == 2 && desk.keeper.keyring["t"]?.versions.count == 2)
        #expect(desk.keeper.keyring["token-vault"]?.versions.count == 1)
    }
}

extension Desk {
    fileprivate func rewrapped(_ ciphertext: [UInt8], _ key: String) throws -> [UInt8] {
        try vault.rewrap(ciphertext, key: key, context: [7], caller: token).ciphertext
    }
}

@Suite struct ImportTests {
    /// Wraps as the README says, with the openssl command alone.
    private func wrap(_ material: [UInt8], under publicKey: String, in directory: TemporaryDirectory) throws -> [UInt8] {
        try Data(material).write(to: URL(filePath: directory.path("material")))
        try Data(publicKey.utf8).write(to: URL(filePath: directory.path("wrapping.pem")))
        let script = """
            set -e; cd '\(directory.path("."))'
            openssl rand 32 > transport
            openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in transport -out first \
              -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
            openssl enc -id-aes256-wrap-pad -iv A65959A6 -K $(od -An -v -tx1 transport | tr -d ' \\n') -in material > second
            cat first second > wrapped
            """
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", script]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return Array(try Data(contentsOf: URL(filePath: directory.path("wrapped"))))
    }

    private func wrappingKey(_ desk: Desk) throws -> String {
        for _ in 0..<1000 {
            do {
                return try desk.administration.wrappingKey(caller: desk.operatorCaller).publicKey
            } catch EncryptionError.wrappingKeyPending {
                // As a caller whose call is refused for now.
                Thread.sleep(forTimeInterval: 0.02)
            }
        }
        Issue.record("no wrapping key in 20 s")
        return ""
    }

    @Test("PKCS #11 CKM_RSA_AES_KEY_WRAP: what openssl wraps is imported, of each usage") func openssl() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        let publicKey = try wrappingKey(desk)
        let secret = try RandomBytes.generate(32)
        let signing = try P256.PrivateKey()
        let edwards = try Ed25519.PrivateKey()
        let cases: [(String, KeyKind, [UInt8])] = [
            ("a", .aead, secret), ("m", .mac, secret), ("e", .sign(.es256), try signing.pkcs8Representation()),
            ("d", .sign(.edDSA), try edwards.pkcs8Representation()),
        ]
        for (name, kind, material) in cases {
            let wrapped = try wrap(material, under: publicKey, in: desk.parts.directory)
            try desk.administration.importKey(.init(name: name, kind: kind), wrapped: wrapped, caller: desk.operatorCaller)
            #expect(desk.events.change())
            #expect(try desk.keeper.keyring[name]?.versions[0].material.bytes() == material)
            #expect(desk.keeper.keyring[name]?.options == KeyOptions(isImported: true))
            #expect(throws: EncryptionError.importedKey(name)) {
                try desk.administration.rotate(name, caller: desk.operatorCaller)
            }
        }
        // RFC 4231 section 4.3 has keys of other lengths: HMAC as such is under test elsewhere; here that it is this key.
        let mac = try desk.vault.authenticator("m", .mac, caller: desk.token).mac(Data([1, 2]))
        #expect(try Array(mac.mac.dropFirst(5)) == HMACSHA256.authenticate([1, 2] as [UInt8], key: secret))
    }

    @Test("RFC 5649: what does not unwrap to a key of the usage is one error") func refusals() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        let publicKey = try wrappingKey(desk)
        let good = try wrap(try RandomBytes.generate(32), under: publicKey, in: desk.parts.directory)
        let short = try wrap(try RandomBytes.generate(31), under: publicKey, in: desk.parts.directory)
        let other = try wrap(try Ed25519.PrivateKey().pkcs8Representation(), under: publicKey, in: desk.parts.directory)
        let elsewhere = try wrap(try RandomBytes.generate(32), under: WrappingKey().publicKey, in: desk.parts.directory)
        var bad: [(String, KeyKind, [UInt8])] = [
            ("short", .aead, short), ("another usage", .aead, other), ("a raw key that signs", .sign(.edDSA), good),
            ("another algorithm", .sign(.es256), other), ("another's wrapping key", .aead, elsewhere), ("empty", .aead, []),
            ("longer", .aead, good + [0]),
        ]
        for count in [1, 383, 384, 392, 400, good.count - 1] { bad.append(("\(count) bytes", .aead, Array(good.prefix(count)))) }
        for index in [0, 100, 383, 384, 400, good.count - 1] {
            var flipped = good
            flipped[index] ^= 1
            bad.append(("byte \(index)", .aead, flipped))
        }
        for (what, kind, wrapped) in bad {
            #expect(throws: EncryptionError.importFailed, "\(what)") {
                try desk.administration.importKey(.init(name: "x", kind: kind), wrapped: wrapped, caller: desk.operatorCaller)
            }
        }
        #expect(desk.keeper.keyring["x"] == nil)
        // A day later there is another wrapping key.
        desk.parts.clock.advance(seconds: 86_400)
        #expect(throws: EncryptionError.wrappingKeyPending) {
            try desk.administration.importKey(.init(name: "x", kind: .aead), wrapped: good, caller: desk.operatorCaller)
        }
    }
}

@Suite struct FirstFormatTests {
    private struct File: Decodable {
        var master_key: String
        var keyring: String
        var context: String
        var plaintext: String
        var ciphertext: String
        var token: String
        var token_time: Int64
    }

    @Test("A keyring of format 1 opens, and what was made with it too") func opens() throws {
        let url = try #require(Bundle.module.url(forResource: "keyring_format_1", withExtension: "json", subdirectory: "Vectors"))
        let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
        let parts = try Parts()
        parts.clock.advance(seconds: file.token_time - parts.clock.now / 1_000_000)
        for (path, bytes) in [
            (parts.location.masterKey, Array((file.master_key + "\n").utf8)),
            (parts.location.keyring, try #require(Hex.decode(file.keyring))), (parts.location.mark, []),
        ] {
            try Data(bytes).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
        for round in 1...2 {
            // The second time it is of the present format.
            let keeper = try parts.open()
            let opened = try parts.vault(keeper).decrypt(
                #require(Hex.decode(file.ciphertext)), key: "token-vault", context: Array(file.context.utf8),
                caller: service("token"))
            #expect(opened == Array(file.plaintext.utf8), "round \(round)")
            let claims = try parts.authority(keeper).verify(file.token, audience: "lockstep", caller: service("gateway"))
            #expect(claims.subject == "usr_1")
            #expect(keeper.keyring["token-vault"]?.versions.map(\.number) == [1, 2])
            keeper.stop()
            let written = try Data(contentsOf: URL(filePath: parts.location.keyring))
            #expect(Array(written.prefix(6)) == Array("LSKR".utf8) + [0, 2])
        }
    }
}
