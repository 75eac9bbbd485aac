/// One JSON object on one line, written member by member.
struct JSONLine {
    private(set) var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(256)
        bytes.append(UInt8(ascii: "{"))
    }

    mutating func add(_ name: String, _ value: LogValue) {
        switch value.content {
        case .text(let text): add(name, text)
        case .number(let number): add(name, literal: String(number))
        case .fraction(let number): add(name, literal: number.isFinite ? String(number) : "null")
        case .flag(let flag): add(name, literal: String(flag))
        }
    }

    mutating func add(_ name: String, _ text: String) {
        member(name)
        string(text)
    }

    /// The object closed, with its line feed.
    consuming func finished() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private mutating func add(_ name: String, literal: String) {
        member(name)
        bytes.append(contentsOf: literal.utf8)
    }

    private mutating func member(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        string(name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 { escape(byte) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// RFC 8259 section 7: quotes, backslashes and control characters; DEL too, for the sake of terminals.
    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0..<0x20, 0x7F:
            let hex = String(byte, radix: 16)
            bytes.append(contentsOf: "\\u00\(hex.count == 1 ? "0" : "")\(hex)".utf8)
        default: bytes.append(byte)
        }
    }
}
