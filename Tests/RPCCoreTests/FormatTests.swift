import RPCCore
import Testing

@Suite struct FormatTests {
    @Test(arguments: [
        "a@b", "ann@example.org", "ann.lee+tag@sub.example.org", "o'neil@example.org", "!#$%&'*+-/=?^_`{|}~@x.example",
        "1@2.example", "\(String(repeating: "l", count: 64))@example.org",
        "a@\(String(repeating: "d", count: 63)).example",
    ])
    func emailAddresses(text: String) {
        #expect(Format.email.accepts(text))
    }

    @Test(arguments: [
        "", "@", "a@", "@b", "a", "a@b@c", "a b@c", "a@b c", ".a@b", "a.@b", "a..b@c", "a@.b", "a@b.", "a@b..c",
        "a@-b", "a@b-", "a@b_c", "a\n@b", "a@b\r\nBcc: c@d", "a\0@b", "<a@b>", "Ann <a@b>", "\"a b\"@c",
        "a@[192.0.2.1]",
        "a,b@c", "a@b,c@d", "ä@b", "a@ü.example", "\(String(repeating: "l", count: 65))@example.org",
        "a@\(String(repeating: "d", count: 64)).example",
        "a@" + Array(repeating: String(repeating: "d", count: 50), count: 5).joined(separator: "."),
    ])
    func otherTexts(text: String) {
        #expect(!Format.email.accepts(text))
    }

    @Test func identifiers() {
        #expect(["a", "A-z_09", "-"].allSatisfy(Format.identifier.accepts))
        #expect(!["", "a b", "a.b", "a/b", "é", "a\n"].contains(where: Format.identifier.accepts))
    }

    @Test func lengthsCountBytesAndAbsenceIsNoLength() {
        var check = ContractCheck()
        check.text("fits", "ää", min: 4, max: 4)
        check.text("long", "äää", max: 5)
        check.text("short", "a", min: 2)
        check.text("absent", "", min: 2, format: .email)
        check.text("missing", "", required: true, min: 2, format: .email)
        check.bytes("one", [UInt8](), required: true)
        check.items("items", 3, max: 1)
        check.present("set", true)
        check.present("unset", false)
        #expect(
            check.violations.map { "\($0.field): \($0.message)" } == [
                "long: At most 5 bytes.", "short: At least 2 bytes.", "missing: This field is required.",
                "one: This field is required.", "items: At most 1 item.", "unset: This field is required.",
            ])
    }

    @Test func violationsNeverRepeatTheValue() {
        var check = ContractCheck()
        check.text("email", "hunter2 is my password", max: 5, format: .email)
        check.texts("others", ["hunter2"], format: .identifier)
        check.texts("others", ["hunter2 "], format: .identifier)
        #expect(check.violations.count == 3)
        #expect(check.violations.allSatisfy { !"\($0)".contains("hunter2") })
    }
}
