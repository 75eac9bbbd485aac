import LibCrypto
import ServiceKit
import Testing

@testable import AuthService

@Suite struct TOTPTests {
    private let secret = Array("12345678901234567890".utf8)

    @Test(
        "RFC 4226 appendix D: codes of a counter",
        arguments: [
            (0, "755224"), (1, "287082"), (2, "359152"), (3, "969429"), (4, "338314"), (5, "254676"), (6, "287922"),
            (7, "162583"), (8, "399871"), (9, "520489"),
        ] as [(Int64, String)])
    func codesOfACounter(counter: Int64, code: String) throws {
        #expect(try TOTP.code(secret, step: counter) == code)
    }

    /// The RFC shows eight digits; six are the last of them (RFC 4226, 5.3).
    @Test(
        "RFC 6238 appendix B: codes of times, SHA-1",
        arguments: [
            (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
        ] as [(Int64, String)])
    func codesOfTimes(seconds: Int64, code: String) throws {
        let step = TOTP.step(at: Timestamp(microseconds: seconds * 1_000_000))
        #expect(try TOTP.code(secret, step: step) == code.suffix(6))
    }

    @Test("RFC 6238 5.2: one step before and after, and none that was taken or came before it")
    func theWindow() throws {
        let now = Timestamp(microseconds: 1_800_000_000_000_000)
        let present = TOTP.step(at: now)
        func match(_ step: Int64, after last: Int64 = 0) throws -> Int64? {
            try TOTP.matchingStep(TOTP.code(secret, step: step), secret, now: now, after: last)
        }
        for step in (present - 1)...(present + 1) { #expect(try match(step) == step) }
        #expect(try match(present - 2) == nil)
        #expect(try match(present + 2) == nil)
        #expect(try match(present, after: present) == nil)
        #expect(try match(present - 1, after: present) == nil)
        #expect(try match(present + 1, after: present) == present + 1)
    }

    @Test(
        "RFC 4648 10: base32",
        arguments: [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI")])
    func base32(text: String, encoded: String) { #expect(Base32.encode(Array(text.utf8)) == encoded) }

    @Test("RFC 2202 3: HMAC-SHA-1") func hmac() throws {
        let tag = try HMACSHA1.authenticate(Array("Hi There".utf8), key: [UInt8](repeating: 0x0b, count: 20))
        #expect(Hex.encode(tag) == "b617318655057264e28bc0b6fb378c8ef146be00")
        let other = try HMACSHA1.authenticate(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(Hex.encode(other) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    }

    @Test func codesAreTypedAsTheyAreShown() throws {
        let code = try RecoveryCode()
        #expect(code.shown.count == 27 && code.shown.split(separator: "-").count == 4)
        for text in [code.shown, code.shown.lowercased(), code.text.exposed] {
            guard case .recovery(let typed)? = SecondFactorCode(text) else {
                Issue.record("\(text) is no recovery code")
                continue
            }
            #expect(typed.text.exposed == code.text.exposed)
        }
        guard case .totp(let digits)? = SecondFactorCode(" 123 456 ") else {
            Issue.record("no code of an app")
            return
        }
        #expect(digits.exposed == "123456")
        for text in ["", "12345", "1234567", "12345a", "１２３４５６", String(repeating: "1", count: 24)] {
            let isNone = SecondFactorCode(text) == nil
            #expect(isNone, "\(text)")
        }
    }

    @Test func theURIIsWhatAppsRead() {
        #expect(
            TOTP.uri(secret, issuer: "My Shop", account: "a+b@example.com")
                == "otpauth://totp/My%20Shop:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20Shop"
                + "&algorithm=SHA1&digits=6&period=30")
    }
}
