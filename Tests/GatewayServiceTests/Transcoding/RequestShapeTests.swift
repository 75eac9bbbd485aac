import RPCCore
import Testing

@testable import GatewayService

@Suite struct RequestShapeTests {
    static let inner = MessageDescriptor(
        name: "t.Inner", fields: [FieldDescriptor(name: "x", number: 1, kind: .string)])
    static let message = MessageDescriptor(
        name: "t.All",
        fields: [
            FieldDescriptor(name: "flag", number: 1, kind: .bool),
            FieldDescriptor(name: "small", number: 2, kind: .int32),
            FieldDescriptor(name: "count", number: 3, kind: .uint32),
            FieldDescriptor(name: "big", number: 4, kind: .int64),
            FieldDescriptor(name: "huge", number: 5, kind: .uint64),
            FieldDescriptor(name: "real", number: 6, kind: .double),
            FieldDescriptor(name: "text", number: 7, kind: .string),
            FieldDescriptor(name: "blob", number: 8, kind: .bytes),
            FieldDescriptor(name: "mode", number: 9, kind: .enumeration(name: "t.M", values: ["NONE", "ONE"])),
            FieldDescriptor(name: "inner", number: 10, kind: .message { inner }),
            FieldDescriptor(name: "when", number: 11, kind: .timestamp),
            FieldDescriptor(name: "list", number: 12, kind: .string, arity: .list),
            FieldDescriptor(name: "map", number: 13, kind: .uint32, arity: .map),
            FieldDescriptor(name: "inners", number: 14, kind: .message { inner }, arity: .list),
        ])

    func check(_ json: String) throws -> [String] {
        RequestShape.violations(of: try JSONReader.read(Array(json.utf8)), against: Self.message)
            .map { "\($0.field): \($0.message)" }
    }

    @Test(
        "values of every kind are taken",
        arguments: [
            #"{}"#, #"{"flag":true}"#, #"{"small":-2147483648}"#, #"{"count":4294967295}"#, #"{"big":1}"#,
            #"{"big":"-9223372036854775808"}"#, #"{"huge":"18446744073709551615"}"#, #"{"real":1.5e3}"#,
            #"{"text":""}"#, #"{"blob":"AAA="}"#, #"{"mode":"ONE"}"#, #"{"inner":{"x":"y"}}"#,
            #"{"when":"2026-01-01T00:00:00Z"}"#, #"{"list":[]}"#, #"{"list":["a"]}"#, #"{"map":{"k":1}}"#,
            #"{"inners":[{"x":"1"},{}]}"#,
        ])
    func good(json: String) throws { #expect(try check(json) == []) }

    @Test(
        "every wrong value names its field",
        arguments: [
            (#"[]"#, "body: Must be an object."), (#""x""#, "body: Must be an object."),
            (#"{"other":1}"#, "other: This field is not known."), (#"{"Text":"x"}"#, "Text: This field is not known."),
            (#"{"text":"a","text":"b"}"#, "text: This field is there twice."),
            (#"{"text":"a","\u0074ext":"b"}"#, "text: This field is there twice."),
            (#"{"text":null}"#, "text: Must not be null; leave the field out instead."),
            (#"{"flag":1}"#, "flag: Must be true or false."), (#"{"flag":"true"}"#, "flag: Must be true or false."),
            (#"{"small":2147483648}"#, "small: Must be a whole number in range."),
            (#"{"small":1.5}"#, "small: Must be a whole number in range."),
            (#"{"small":"1"}"#, "small: Must be a whole number in range."),
            (#"{"count":-1}"#, "count: Must be a whole number in range."),
            (#"{"big":"x"}"#, "big: Must be a whole number in range."),
            (#"{"huge":-1}"#, "huge: Must be a whole number in range."),
            (#"{"real":"1"}"#, "real: Must be a number."), (#"{"text":1}"#, "text: Must be a string."),
            (#"{"text":["a"]}"#, "text: Must be a string."), (#"{"text":{}}"#, "text: Must be a string."),
            (#"{"blob":1}"#, "blob: Must be a string in base64."), (#"{"mode":"TWO"}"#, "mode: Must be one of ONE."),
            (#"{"mode":1}"#, "mode: Must be one of ONE."), (#"{"inner":"x"}"#, "inner: Must be an object."),
            (#"{"inner":{"y":1}}"#, "inner.y: This field is not known."),
            (#"{"inner":{"x":1}}"#, "inner.x: Must be a string."),
            (#"{"when":1}"#, "when: Must be a time such as 2026-01-31T12:00:00Z."),
            (#"{"list":"a"}"#, "list: Must be a list."), (#"{"list":["a",1]}"#, "list[1]: Must be a string."),
            (#"{"list":[null]}"#, "list[0]: Must be a string."), (#"{"map":[]}"#, "map: Must be an object."),
            (#"{"map":{"k":"v"}}"#, "map[*]: Must be a whole number in range."),
            (#"{"inners":[{},{"x":2}]}"#, "inners[1].x: Must be a string."),
        ])
    func bad(json: String, expected: String) throws { #expect(try check(json) == [expected]) }

    @Test func allWrongFieldsAreNamedUpToABound() throws {
        #expect(try check(#"{"a":1,"flag":1,"b":1}"#).count == 3)
        let many = "{" + (0..<100).map { "\"f\($0)\":1" }.joined(separator: ",") + "}"
        #expect(try check(many).count == RequestShape.maximumViolations)
    }

    @Test func aForeignNameIsCut() throws {
        let name = String(repeating: "n", count: 1000)
        #expect(try check("{\"\(name)\":1}").first?.utf8.count ?? 0 < 120)
    }
}
