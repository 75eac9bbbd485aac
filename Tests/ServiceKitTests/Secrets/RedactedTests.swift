import Foundation
import ServiceKit
import Testing

@Suite struct RedactedTests {
    static let secret = "hunter2-planted"
    let redacted = Redacted(Self.secret)

    struct Holder {
        let name = "holder"
        let password = Redacted(RedactedTests.secret)
        let key = SecretBytes(utf8: RedactedTests.secret)
    }

    static func printed(_ value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        var debugged = ""
        debugPrint(value, to: &debugged)
        var plain = ""
        print(value, to: &plain)
        return [
            dumped, debugged, plain, "\(value)", String(describing: value), String(reflecting: value),
            [value].description, "\(Optional.some(value) as Any)", "\(["key": value])",
            Mirror(reflecting: value).children.map { "\($0.value)" }.joined(),
        ]
    }

    @Test func noWayOfPrintingShowsTheValue() {
        let values: [Any] = [
            redacted, SecretBytes(utf8: Self.secret), Holder(), Redacted(Data(Self.secret.utf8)), Redacted([Self.secret]),
            Result<Redacted<String>, any Error>.success(redacted), redacted.map { $0 + "!" },
        ]
        for value in values {
            for text in Self.printed(value) {
                #expect(!text.contains(Self.secret), "\(type(of: value)): \(text)")
            }
        }
    }

    @Test func theValueComesOutByItsOwnNameOnly() {
        #expect(redacted.exposed == Self.secret)
        #expect(redacted.withExposed { $0.count } == Self.secret.count)
        #expect(redacted.map { $0.uppercased() }.exposed == Self.secret.uppercased())
        #expect("\(redacted)" == "<redacted>")
    }

    @Test func itIsNotCodable() {
        #expect(!((redacted as Any) is any Encodable))
        #expect(!((redacted as Any) is any Decodable))
        #expect(!((redacted as Any) is any CustomPlaygroundDisplayConvertible))
    }

    @Test func secretBytesAreWhatWasPutIn() {
        let bytes = SecretBytes([1, 2, 3])
        #expect(bytes.count == 3)
        #expect(bytes.exposed == [1, 2, 3])
        #expect(bytes.withBytes { $0.reduce(0) { $0 + Int($1) } } == 6)
        #expect(SecretBytes([]).exposed == [])
    }
}
