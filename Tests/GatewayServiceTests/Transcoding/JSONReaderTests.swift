import Testing

@testable import GatewayService

@Suite struct JSONReaderTests {
    @Test(
        "RFC 8259 and nothing more",
        arguments: [
            "", " ", "{", "}", "{\"a\":1", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "[1,]", "[,1]",
            "{\"a\":1}x", "{\"a\":1}{}", "tru", "nul", "True", "01", "-", "1.", ".5", "1e", "+1", "0x10", "NaN",
            "Infinity", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
            "\"\\udc00\"", "\"a\nb\"", "\u{feff}{}", "{\"a\":1 \"b\":2}", "[1 2]", "// c\n{}", "{\"a\":\"\u{1}\"}",
        ])
    func refused(text: String) {
        #expect(throws: JSONError.self) { try JSONReader.read(Array(text.utf8)) }
    }

    @Test func foreignBytesAreRefused() {
        #expect(throws: JSONError.self) { try JSONReader.read([0x22, 0xff, 0x22]) }
        #expect(throws: JSONError.self) { try JSONReader.read([0x7b, 0x00, 0x7d, 0x00]) }
    }

    @Test(
        arguments: [
            ("null", JSONValue.null), (" true ", .bool(true)), ("-0.5e+10", .number("-0.5e+10")), ("0", .number("0")),
            ("\"\\u0041\\n\\/\\ud83d\\ude00é\"", .string("A\n/😀é")), ("[]", .array([])), ("{}", .object([])),
            ("[1,[true]]", .array([.number("1"), .array([.bool(true)])])),
        ])
    func taken(text: String, value: JSONValue) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test func repeatedMembersAreKeptForTheCheck() throws {
        let value = try JSONReader.read(Array(#"{"a":1,"\u0061":2}"#.utf8))
        #expect(value == .object([.init("a", .number("1")), .init("a", .number("2"))]))
    }

    @Test func anErrorSaysWhere() throws {
        let error = try #require(throws: JSONError.self) { try JSONReader.read(Array("{\n  \"a\": tru}".utf8)) }
        #expect(error.line == 2)
        #expect(error.column == 11)
    }

    @Test func depthIsBounded() throws {
        let deepest = String(repeating: "[", count: JSONReader.maximumDepth)
        let closing = String(repeating: "]", count: JSONReader.maximumDepth)
        _ = try JSONReader.read(Array((deepest + closing).utf8))
        #expect(throws: JSONError.self) { try JSONReader.read(Array(("[" + deepest + closing + "]").utf8)) }
        #expect(throws: JSONError.self) {
            try JSONReader.read([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000))
        }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let value = JSONValue.object([
            .init("a\"\\\u{1}\n/é😀", .array([.null, .bool(false), .number("1.5"), .string("\u{7f}\u{2028}")])),
            .init("", .object([])),
        ])
        #expect(try JSONReader.read(value.utf8) == value)
    }

    @Test func everyPrefixIsAnErrorAndNoCrash() {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00",null,true,false,{"b":{}}]}"#.utf8)
        for end in 0..<text.count {
            #expect(throws: JSONError.self) { try JSONReader.read(Array(text[..<end])) }
        }
    }
}
