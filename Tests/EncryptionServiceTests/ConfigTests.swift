import ServiceKit
import TestSupport
import Testing

@testable import EncryptionService

@Suite struct ConfigTests {
    private func settings(_ environment: [String: String] = [:]) throws -> EncryptionSettings {
        try EncryptionSettings(try Configuration.load(EncryptionConfig.table, environment: environment, file: nil))
    }

    @Test func defaults() throws {
        let settings = try settings()
        #expect(settings.location.keyring.hasSuffix(".lockstep/keyring"))
        #expect(settings.location.masterKey.hasSuffix(".lockstep/master.key"))
        #expect(settings.keys.map(\.name) == ["token-vault", "email-outbox", "auth-factors", "access-token"])
        #expect(!settings.mayCreate)
        #expect(settings.rounds == 12 && settings.minimumPassword == 15)
        #expect(settings.passwords.minimumWithSecondFactor == 8 && settings.passwords.contextWords == ["lockstep"])
        #expect(settings.passwords.pepperKey == nil && settings.passwords.blocklist == nil && !settings.isFIPSRequired)
        #expect(settings.skew == 5 && settings.publishLead == 300)
        #expect(try settings.policy == KeyPolicy(json: KeyPolicy.standardText))
    }

    @Test func passwordsAndTheProvider() throws {
        let settings = try settings([
            "LOCKSTEP_ENCRYPTION_PASSWORD_PEPPER_KEY": "passwords", "LOCKSTEP_ENCRYPTION_PASSWORD_FORMER_PEPPER_KEYS": "a,b",
            "LOCKSTEP_ENCRYPTION_PASSWORD_BLOCKLIST_FILE": "refused.txt", "LOCKSTEP_ENCRYPTION_FIPS": "required",
            "LOCKSTEP_ENCRYPTION_KEYRING_LOCK_MEMORY": "required", "LOCKSTEP_ENCRYPTION_AUDIT_USES": "true",
            "LOCKSTEP_ENCRYPTION_AUDIT_BEGIN_AFTER": "57",
        ])
        #expect(settings.isMemoryLockRequired && settings.auditsUses && settings.location.auditBeginsAfter == 57)
        #expect(settings.passwords.pepperKey == "passwords" && settings.passwords.formerPepperKeys == ["a", "b"])
        #expect(settings.passwords.blocklist?.hasSuffix(".lockstep/refused.txt") == true && settings.isFIPSRequired)
        let wanted = try settings.wantedKeys()
        #expect(wanted.suffix(3).map(\.name) == ["a", "b", "passwords"] && wanted.suffix(3).allSatisfy { $0.kind == .mac })
    }

    /// A wrong value names its key.
    @Test(arguments: [
        ("LOCKSTEP_ENCRYPTION_PASSWORD_ROUNDS", "9"), ("LOCKSTEP_ENCRYPTION_PASSWORD_ROUNDS", "16"),
        ("LOCKSTEP_ENCRYPTION_PASSWORD_MINIMUM_LENGTH", "7"), ("LOCKSTEP_ENCRYPTION_KEYRING_KEYS", "a:AEAD,a:SIGN"),
        ("LOCKSTEP_ENCRYPTION_KEYRING_KEYS", "a:aead"), ("LOCKSTEP_ENCRYPTION_POLICY", "{\"token\": 1}"),
        ("LOCKSTEP_ENCRYPTION_KEYRING_LOCK_MEMORY", "yes"), ("LOCKSTEP_ENCRYPTION_AUDIT_USES", "maybe"),
        ("LOCKSTEP_ENCRYPTION_AUDIT_BEGIN_AFTER", "-1"), ("LOCKSTEP_ENCRYPTION_FIPS", "maybe"),
        ("LOCKSTEP_ENCRYPTION_PASSWORD_PEPPER_KEY", "a key"),
        ("LOCKSTEP_ENCRYPTION_PASSWORD_PEPPER_KEY", "abcdefghijklmnopqrstuvwxyzabcdefg"),
        ("LOCKSTEP_ENCRYPTION_PASSWORD_MINIMUM_LENGTH_MFA", "7"),
        ("LOCKSTEP_ENCRYPTION_JWT_SKEW", "61s"), ("LOCKSTEP_ENCRYPTION_KEYRING_CREATE", "maybe"),
    ])
    func wrongValues(_ variable: String, _ value: String) {
        let error = #expect(throws: (any Error).self) { try settings([variable: value]) }
        #expect(error.map { "\($0)" }?.contains(variable) == true)
    }

    @Test func theReadmeHasEveryKey() throws {
        #expect(
            ReadmeKeys.missing(
                readme: try ReadmeKeys.text(of: "encryption"), markdown: EncryptionConfig.table.markdown) == [])
    }
}
