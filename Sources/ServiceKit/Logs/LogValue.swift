/// A value that may stand in a log: it can be made only from types that hold no secret, or by redacting.
package struct LogValue: Sendable, Hashable, CustomStringConvertible {
    enum Content: Sendable, Hashable {
        case text(String)
        case number(Int64)
        case fraction(Double)
        case flag(Bool)
    }

    let content: Content

    package var description: String {
        switch content {
        case .text(let text): text
        case .number(let number): String(number)
        case .fraction(let number): String(number)
        case .flag(let flag): String(flag)
        }
    }

    /// What stands in the log for a value of no known type.
    static let untyped = "<untyped>"
    /// What stands for an identifier that is none.
    static let invalid = "<invalid>"
    /// Characters of the longest identifier that is written as it is.
    static let maximumIdentifier = 128

    static func identifier(_ text: String) -> LogValue {
        let isIdentifier = (1...maximumIdentifier).contains(text.utf8.count) && text.utf8.allSatisfy(isAllowed)
        return LogValue(content: .text(isIdentifier ? text : invalid))
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.:/".utf8.contains(byte)
        }
    }
}
