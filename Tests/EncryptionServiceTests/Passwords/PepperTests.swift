import Contracts
import Foundation
import LibCrypto
import RPCCore
import TestSupport
import Testing

@testable import EncryptionService

@Suite struct PepperTests {
    private let parts: Parts
    private let keeper: KeyringKeeper
    private let events = Events()
    private let password = "otter lamp violin 42"

    init() throws {
        parts = try Parts()
        keeper = try parts.open(
            create: true, wanted: Parts.wanted + ["passwords:MAC", "former:MAC"].compactMap(KeySpecification.init), report: events.report)
    }

    private func hasher(_ name: String? = "passwords", former: [String] = []) -> PasswordHasher {
        PasswordHasher(rounds: 10, pepper: Pepper(keeper: keeper, name: name, former: former, clock: parts.clock.read))
    }

    @Test("OWASP Password Storage: a hash says which version of which key peppered it") func roundTrip() throws {
        defer { keeper.stop() }
        let hash = try hasher().hash(password)
        #expect(hash.hasPrefix("$hmac-sha256$k=passwords,v=1,f="))
        #expect(try hasher().verify(password, hash: hash) == (true, false))
        #expect(try hasher().verify("otter lamp violin 43", hash: hash) == (false, false))
        // Without the pepper it is no hash of the password.
        let bare = String(hash.drop { $0 != "," }.drop { $0 != "$" })
        #expect(bare.hasPrefix("$2b$10$"))
        #expect(try hasher().verify(password, hash: bare) == (false, false))
    }

    /// HMAC, base64 and bcrypt of perl's own and the system's.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/perl"), "perl is not installed"))
    func anIndependentPeer() throws {
        defer { keeper.stop() }
        let hash = try hasher().hash(password)
        let secret = try #require(try keeper.keyring["passwords"]?.version(1)?.material.bytes())
        let stored = try #require(StoredPassword(hash))
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/perl")
        process.arguments = [
            "-MDigest::SHA=hmac_sha256_base64", "-e",
            "print crypt(hmac_sha256_base64($ARGV[0], pack('H*', $ARGV[1])) . '=', $ARGV[2])", password, Hex.encode(secret),
            stored.bcrypt.text,
        ]
        process.standardOutput = output
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(String(decoding: text, as: UTF8.self) == stored.bcrypt.text)
    }

    @Test func anotherVersionNeedsARehash() throws {
        defer { keeper.stop() }
        let (plain, old) = (try PasswordHasher(rounds: 10).hash(password), try hasher().hash(password))
        #expect(try hasher().verify(password, hash: plain) == (true, true))
        #expect(try hasher().verify("wrong", hash: plain) == (false, false))
        _ = try keeper.requestRotation(of: "passwords")
        #expect(events.change())
        #expect(try hasher().verify(password, hash: old) == (true, true))
        let new = try hasher().hash(password)
        #expect(new.hasPrefix("$hmac-sha256$k=passwords,v=2,f="))
        #expect(try hasher().verify(password, hash: new) == (true, false))
        // A version that may open nothing any more matches nothing, and is no error: the answer is a wrong password's.
        try parts.administration(keeper).configure("passwords", caller: administrator()) { $0.minDecryption = 2 }
        #expect(events.change())
        #expect(try hasher().verify(password, hash: old) == (false, false))
        #expect(try hasher().verify(password, hash: new) == (true, false))
    }

    /// A key that was lost, and made anew under its name: that is an outage, and no wrong password.
    @Test func anotherKeyOfTheSameName() throws {
        defer { keeper.stop() }
        let hash = try hasher().hash(password)
        let others = try Parts()
        let other = try others.open(create: true, wanted: Parts.wanted + ["passwords:MAC"].compactMap(KeySpecification.init))
        defer { other.stop() }
        let replaced = PasswordHasher(rounds: 10, pepper: Pepper(keeper: other, name: "passwords", clock: others.clock.read))
        #expect(throws: EncryptionError.pepperReplaced(key: "passwords", 1)) { try replaced.verify(password, hash: hash) }
        // It has had fewer versions so far, too.
        for number in ["2", "0", "4294967295"] {
            let later = hash.replacing(",v=1,", with: ",v=\(number),")
            #expect(throws: EncryptionError.pepperReplaced(key: "passwords", UInt32(number) ?? 0)) {
                try replaced.verify(password, hash: later)
            }
        }
        let error = EncryptionError.pepperReplaced(key: "passwords", 1).rpcError
        #expect(error.code == .unavailable && error.reason == "pepper_replaced")
    }

    /// bcrypt is asked first, which shows in its refusal of three rounds: an answer without it would come a tenth of a second sooner.
    @Test func anErrorTakesAsLongAsAnAnswer() throws {
        defer { keeper.stop() }
        let hash = try hasher("former").hash(password).replacing("$2b$10$", with: "$2b$03$")
        #expect(throws: EncryptionError.malformedHash) { try hasher().verify(password, hash: hash) }
        try parts.administration(keeper).disable("former", caller: administrator())
        #expect(events.change())
        #expect(throws: EncryptionError.malformedHash) { try hasher(former: ["former"]).verify(password, hash: hash) }
    }

    @Test func aFormerKeyAndNoKey() throws {
        defer { keeper.stop() }
        let hash = try hasher("former").hash(password)
        #expect(try hasher("passwords", former: ["former"]).verify(password, hash: hash) == (true, true))
        #expect(try hasher(nil, former: ["former"]).verify(password, hash: hash) == (true, true))
        #expect(try hasher(nil, former: ["former"]).hash(password).hasPrefix("$2b$"))
        // A caller cannot have another key used than configuration says.
        for other in [hasher("passwords"), hasher(nil), PasswordHasher(rounds: 10)] {
            #expect(throws: EncryptionError.pepperUnknown(key: "former")) { try other.verify(password, hash: hash) }
        }
        #expect(EncryptionError.pepperUnknown(key: "former").rpcError.reason == "pepper_unknown")
    }

    /// Nothing is hashed without the pepper that should be there; what has none is verified all the same.
    @Test func aKeyThatCannotBeUsed() throws {
        defer { keeper.stop() }
        let (plain, hash) = (try PasswordHasher(rounds: 10).hash(password), try hasher().hash(password))
        try parts.administration(keeper).disable("passwords", caller: administrator())
        #expect(events.change())
        #expect(throws: EncryptionError.keyDisabled(key: "passwords")) { try hasher().hash(password) }
        #expect(throws: EncryptionError.keyDisabled(key: "passwords")) { try hasher().verify(password, hash: hash) }
        #expect(try hasher().verify(password, hash: plain) == (true, false))
        #expect(throws: EncryptionError.wrongUsage(key: "token-vault", expected: .mac)) { try hasher("token-vault").hash(password) }
        #expect(throws: EncryptionError.unknownKey("nothing")) { try hasher("nothing").hash(password) }
    }

    /// The rules of bcrypt hold as if there were no pepper: it may be given up.
    @Test(arguments: [String(repeating: "a", count: 73), "abc\0def", ""]) func unusablePasswords(_ password: String) throws {
        defer { keeper.stop() }
        let hash = try hasher().hash("otter lamp violin 42")
        #expect(throws: EncryptionError.self) { try hasher().hash(password) }
        #expect(throws: EncryptionError.self) { try hasher().verify(password, hash: hash) }
        let long = String(repeating: "a", count: 72)
        #expect(try hasher().verify(long, hash: hasher().hash(long)).matches)
    }

    /// As long as `VerifyPasswordRequest.password_hash` may be.
    @Test func theLongestHash() throws {
        defer { keeper.stop() }
        let name = String(repeating: "k", count: Pepper.maximumNameCount)
        let bcrypt = try PasswordHasher(rounds: 10).hash(password)
        let fingerprint = [UInt8](repeating: 255, count: Pepper.fingerprintCount)
        let version = PepperVersion(key: name, number: .max, fingerprint: fingerprint)
        #expect(StoredPassword(StoredPassword.text(bcrypt, pepper: version))?.pepper == version)
        #expect(StoredPassword.text(bcrypt, pepper: version).utf8.count <= 128)
    }

    @Test(arguments: [
        "$hmac-sha256$", "$hmac-sha256$k=a,v=1,f=AAAAAAAAAAA", "$hmac-sha256$k=a,v=1,f=AAAAAAAAAAA$", "$hmac-sha256$k=a$2b",
        "$hmac-sha256$v=1,k=a,f=AAAAAAAAAAA$2b", "$hmac-sha256$k=a,v=01,f=AAAAAAAAAAA$2b", "$hmac-sha256$k=a,v=+1,f=AAAAAAAAAAA$2b",
        "$hmac-sha256$k=a,v=,f=AAAAAAAAAAA$2b", "$hmac-sha256$k=,v=1,f=AAAAAAAAAAA$2b", "$hmac-sha256$k=a b,v=1,f=AAAAAAAAAAA$2b",
        "$hmac-sha256$k=a,v=1,f=AAAAAAAAAAA,x=2$2b", "$hmac-sha256$k=a,v=4294967296,f=AAAAAAAAAAA$2b", "$hmac-sha256$k=a,v=1$2b",
        "$hmac-sha256$k=a,v=1,f=AAAAAAAAAA$2b", "$hmac-sha256$k=a,v=1,f=AAAAAAAAAAB$2b", "$hmac-sha256$k=a,v=1,g=AAAAAAAAAAA$2b",
        "$hmac-sha512$k=a,v=1,f=AAAAAAAAAAA$2b",
    ])
    func malformed(_ text: String) {
        defer { keeper.stop() }
        let whole = text.hasSuffix("$2b") ? text + "$10$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m" : text
        #expect(StoredPassword(whole) == nil)
        #expect(throws: EncryptionError.malformedHash) { try hasher().verify(password, hash: whole) }
    }
}

/// The service as configuration puts it together.
@Suite struct PasswordSettingsTests {
    private func service(_ change: (inout EncryptionSettings) throws -> Void) throws -> Service { try Service(change: change) }

    @Test func thePepperIsMadeAndUsed() async throws {
        let service = try service { $0.passwords.pepperKey = "passwords" }
        let client = try service.passwords(as: "auth")
        let hash = try await client.hash(.with { $0.password = "otter lamp violin 42" }).passwordHash
        #expect(hash.hasPrefix("$hmac-sha256$k=passwords,v=1,f="))
        let answer = try await client.verify(
            .with {
                $0.password = "otter lamp violin 42"
                $0.passwordHash = hash
            })
        #expect(answer.matches && !answer.needsRehash)
        let facts = try await service.keys(as: "operator").describeService(EncryptionDescribeServiceRequest())
        #expect(facts.pepperKey == "passwords" && facts.pepperVersion == 1 && facts.bcryptRounds == 10)
        // Configuration says that it must exist: it is not destroyed.
        let refused = await failure {
            try await service.administration().scheduleKeyDestruction(.with { $0.keyName = "passwords" })
        }
        #expect(refused?.reason == "key_in_use")
    }

    /// Also with `encryption.keyring.create`, and where `encryption.keyring.keys` has it too: one made now would match no hash.
    @Test(arguments: [false, true]) func aFormerPepperIsNeverMade(_ isWantedTwice: Bool) throws {
        let problem = #expect(throws: KeyringProblem.self) {
            try service {
                $0.passwords.formerPepperKeys = ["old"]
                if isWantedTwice { $0.keys += ["old:MAC"].compactMap(KeySpecification.init) }
            }
        }
        guard case .keyMissing("old", _, .formerPepper) = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        #expect(problem?.description.contains("which encryption.password.former_pepper_keys asks for") == true)
        #expect(problem?.description.contains("create") == false && problem?.exitStatus == 78)
    }

    @Test func theErrorNamesTheSettingThatAsks() throws {
        let parts = try Parts()
        try parts.open(create: true).stop()
        var pepper = try #require(KeySpecification("passwords:MAC"))
        pepper.origin = .pepper
        let missing = parts.problem(wanted: Parts.wanted + [pepper])
        #expect(missing?.description.contains("no key passwords, which encryption.password.pepper_key asks for.") == true)
        pepper = try #require(KeySpecification("token-vault:MAC"))
        pepper.origin = .pepper
        let wrong = parts.problem(wanted: [pepper])
        #expect(wrong?.description.hasSuffix("Correct encryption.password.pepper_key.") == true)
    }

    @Test func aPepperOfAnotherUsageIsRefused() throws {
        #expect(throws: StartProblem.pepperIsNoMAC(key: "token-vault")) { try service { $0.passwords.pepperKey = "token-vault" } }
    }

    @Test("ASVS 6.2.1: fifteen characters alone, eight beside a second factor") func lengths() async throws {
        let client = try service { _ in }.passwords(as: "auth")
        let alone = try await client.checkStrength(.with { $0.password = "otterlam" })
        #expect(alone.reasons.map(\.code) == ["too_short"] && alone.minimumLength == 15)
        #expect(alone.reasons.first?.message == "Use at least 15 characters.")
        #expect(!alone.acceptableAlone && alone.minimumLengthAlone == 15)
        #expect(try await client.checkStrength(.with { $0.password = "otter lamp viol" }).acceptableAlone)
        for (password, isEnough, isEnoughAlone) in [
            ("otterla", false, false), ("otterlam", true, false), ("otter lamp vio", true, false), ("otter lamp viol", true, true),
            // Long enough, and refused for something else.
            ("aaaaaaaaaaaaaaaaaaaa", false, false),
        ] {
            let answer = try await client.checkStrength(
                .with {
                    $0.password = password
                    $0.multiFactor = true
                })
            #expect(answer.acceptable == isEnough && answer.minimumLength == 8, "\(password)")
            #expect(answer.acceptableAlone == isEnoughAlone && answer.minimumLengthAlone == 15, "\(password)")
        }
    }

    @Test("ASVS 6.2.12: the operator's own list counts too") func blocklist() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("refused.txt")
        try Data("\u{FEFF}#!comment: ours\nOtter Lamp Violin 42\r\n\nanother one that is long\n#not a comment at all".utf8)
            .write(to: URL(filePath: path))
        let client = try service { $0.passwords.blocklist = path }.passwords(as: "auth")
        for password in [
            "otter lamp violin 42", "OTTER LAMP VIOLIN 42", "ｏｔｔｅｒ lamp violin 42", "another one that is long",
            "#not a comment at all",
        ] {
            let answer = try await client.checkStrength(.with { $0.password = password })
            #expect(answer.reasons.map(\.code) == ["blocklisted"], "\(password)")
        }
        for password in ["#!comment: ours", "otter lamp violin 43"] {
            #expect(try await client.checkStrength(.with { $0.password = password }).acceptable, "\(password)")
        }
    }

    @Test func aBlocklistThatIsNotThere() {
        for path in ["/nowhere/refused.txt", "/"] {
            let problem = #expect(throws: StartProblem.self) { try service { $0.passwords.blocklist = path } }
            #expect(problem?.description.contains("passwords \(path): ") == true)
            #expect(problem?.exitStatus == 78)
        }
    }

    /// What is left of a download that failed, and what would match nothing.
    @Test(arguments: [
        ([UInt8](), "there is no password in it"), (Array("\u{FEFF}\n\n#!comment: ours\n".utf8), "there is no password in it"),
        (Array("gr".utf8) + [0xFC] + Array("ße an alle hier\n".utf8), "it is not UTF-8"),
    ])
    func aBlocklistThatIsNone(_ bytes: [UInt8], _ reason: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("refused.txt")
        try Data(bytes).write(to: URL(filePath: path))
        #expect(throws: StartProblem.blocklist(path: path, reason: reason)) { try service { $0.passwords.blocklist = path } }
    }

    @Test func theProductsName() async throws {
        let client = try service { $0.passwords.contextWords = ["Clinic-Desk"] }.passwords(as: "auth")
        for (password, isRefused) in [("Clinic-Desk-2026", true), ("deskdeskclinic12", true), ("otter lamp violin 42", false)] {
            let answer = try await client.checkStrength(.with { $0.password = password })
            #expect(answer.reasons.map(\.code).contains("contains_context") == isRefused, "\(password)")
        }
    }

    @Test("ASVS 6.2.4: the 3,000 commonest passwords are known") func theShippedListIsWhole() {
        #expect(CommonPasswords.count >= 3000 && CommonPasswords.longest == 25)
        #expect(CommonPasswords.contains("123456") && CommonPasswords.contains("correcthorsebatterystaple"))
        #expect(!CommonPasswords.contains("#!comment: passwords that are tried first, one in each line, lower case, the commonest first."))
    }
}

@Suite struct FIPSTests {
    private static let isInstalled = FileManager.default.fileExists(atPath: "/usr/lib/\(ProcessInfo.triple)/ossl-modules/fips.so")

    /// The test process is given none; that services start with it is tested with processes of their own (`FIPSProcessTests`).
    @Test(
        "FIPS 140-3: without the FIPS provider a service that needs it does not start",
        .enabled(if: !isInstalled && FIPSProvider.ofThisProcess == "default", "The provider is installed here."))
    func required() throws {
        let parts = try Parts()
        var settings = try EncryptionSettings(
            location: parts.location, keys: Parts.wanted, mayCreate: true, policy: KeyPolicy(json: KeyPolicy.standardText),
            rounds: 10, minimumPassword: 15, issuer: "https://lockstep.local", skew: 5, publishLead: 300)
        settings.isFIPSRequired = true
        let problem = #expect(throws: StartProblem.self) { try Composition.make(settings, report: { _ in }) }
        let text = problem?.description ?? ""
        #expect(text.hasPrefix("encryption.fips is `required`, but OpenSSL's provider `fips` does not load ("), "\(text)")
        // In words, and with the file that is missing; not `reason(524325)`.
        #expect(text.contains("fips.so") && !text.contains("reason("), "\(text)")
        #expect(text.contains("openssl fipsinstall") && problem?.exitStatus == 78)
        // Refused before anything was made, and the process still has its algorithms.
        #expect(!FileManager.default.fileExists(atPath: parts.location.keyring))
        settings.isFIPSRequired = false
        try Composition.make(settings, report: { _ in }).keeper.stop()
    }

    @Test func theProviderInUse() async throws {
        let facts = try await Service().keys(as: "operator").describeService(EncryptionDescribeServiceRequest())
        #expect(facts.cryptoProvider == FIPSProvider.ofThisProcess && !facts.fipsRequired)
        #expect(facts.cryptoLibrary.hasPrefix("OpenSSL 3.") && !facts.cryptoProviderVersion.isEmpty)
        // The FIPS provider's version is its own.
        if FIPSProvider.ofThisProcess == "default" { #expect(facts.cryptoLibrary.contains(facts.cryptoProviderVersion)) }
        #expect(facts.auditSequence == 3 && facts.auditHash.count == 32)
        let refused = await failure { try await Service().keys(as: "token").describeService(EncryptionDescribeServiceRequest()) }
        #expect(refused?.code == .permissionDenied)
    }
}

extension ProcessInfo {
    /// `x86_64-linux-gnu`, as Debian names its folders.
    fileprivate static var triple: String {
        #if arch(x86_64)
            "x86_64-linux-gnu"
        #else
            "aarch64-linux-gnu"
        #endif
    }
}
