import Testing

@testable import EncryptionService

@Suite struct PasswordStrengthTests {
    private let strength = PasswordStrength()

    private func codes(_ password: String, _ words: [String] = []) -> [String] {
        strength.reasons(password, contextWords: words).map(\.code)
    }

    @Test(arguments: [
        "otter lamp violin 42", "correct-horse-battery-staple", "Tr0ub4dor&3-and-more",
        "grüße an alle hier",
        "ключ от квартиры", "zzyzx road is long", "aaaaaaaabbbbbbbbcd", String(repeating: "xy4 ", count: 17) + "end",
    ])
    func accepted(_ password: String) { #expect(codes(password) == []) }

    @Test(arguments: [
        ("", "too_short"), ("otter lamp", "too_short"), ("fourteen chars", "too_short"),
        (String(repeating: "🩺", count: 14), "too_short"),
        (String(repeating: "abcdefghij k", count: 7), "too_long"), ("otter lamp violin\0 42", "contains_nul"),
        ("passwordpassword", "common"), ("PasswordPassword", "common"), ("CorrectHorseBatteryStaple", "common"),
        ("123456789123456789", "common"), ("12345678901234567890", "common"), ("abcdefghijklmnopq", "common"),
        ("98765432109876543210", "common"), ("aaaaaaaaaaaaaaaa", "common"), ("sunshine123456789", "common"),
        ("ｐａｓｓｗｏｒｄ１２３４５６７８９", "common"),
        ("abc1abc1abc1abc1", "common"), ("1q2w3e4r5t6y7u8i9o0p", "common"),
    ])
    func refused(_ password: String, _ code: String) { #expect(codes(password).contains(code), "\(codes(password))") }

    @Test(
        "ASVS 6.2.11, NIST SP 800-63B-4 3.1.1.2: no password of the address, the name and the product",
        arguments: ["jo.smith@clinic.example", "Jo.Smith.Clinic", "smithsmithclinic", "Jo.Smith90!clinic"])
    func madeOfWhatIsKnown(_ password: String) {
        #expect(codes(password, ["jo.smith@clinic.example", "Jo Smith", "lockstep"]).contains("contains_context"))
    }

    /// The address's local part as a whole, also where each of its pieces is too short to count.
    @Test func theLocalPart() {
        #expect(codes("al.bo.cy.de-2026", ["al.bo.cy.de@clinic.example"]).contains("contains_context"))
    }

    /// A word inside of a long password is no reason: what is left is long enough.
    @Test func aContextWordInALongPassword() {
        #expect(codes("remarkable otter lamp violin", ["mark@clinic.example", "Mark"]) == [])
        #expect(codes("otter lamp violin 42", ["", "jo", "@"]) == [])
    }

    @Test func everyReasonIsASentence() {
        let reasons = strength.reasons("a\0", contextWords: [])
        #expect(reasons.map(\.code) == ["too_short", "contains_nul"])
        #expect(reasons.allSatisfy { $0.message.hasSuffix(".") })
        #expect(reasons[0].message == "Use at least 15 characters.")
    }

    @Test("ASVS 6.2.5, NIST SP 800-63B-4 3.1.1.2: no composition rules")
    func noCompositionRules() {
        #expect(codes("ottersandlampsandviolins") == [])
        #expect(codes("OTTERSANDLAMPSANDVIOLINS") == [])
        #expect(codes("84723094857239048572") == [])
    }

    @Test("ASVS 6.2.1, NIST SP 800-63B-4 3.1.1.2: the least length is 15, and never under 8")
    func theMinimumIsBounded() {
        #expect(PasswordStrength(minimum: 1).minimum == 8)
        #expect(PasswordStrength(minimum: 100).minimum == 64)
        #expect(PasswordStrength(minimum: 8).reasons("otterlam", contextWords: []) == [])
        let strength = PasswordStrength(minimum: 20, minimumWithSecondFactor: 1)
        #expect(strength.minimum(withSecondFactor: false) == 20 && strength.minimum(withSecondFactor: true) == 8)
    }
}
