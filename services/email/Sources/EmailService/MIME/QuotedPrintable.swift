/// RFC 2045, 6.7: text that stays readable, in lines of at most 76 characters.
enum QuotedPrintable {
    static let maximumLine = 76
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// - Parameter text: Lines end in LF, CRLF or CR; all become CRLF.
    static func encode(_ text: String) -> String {
        text.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { encode(line: $0) }
            .joined(separator: "\r\n")
    }

    private static func encode(line: Substring) -> String {
        let bytes = Array(line.utf8)
        var output: [UInt8] = []
        var column = 0
        for (index, byte) in bytes.enumerated() {
            let piece = encode(byte, isLast: index == bytes.count - 1)
            // One column stays free for the `=` of a soft line break.
            if column + piece.count > maximumLine - 1 {
                output += Array("=\r\n".utf8)
                column = 0
            }
            output += piece
            column += piece.count
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func encode(_ byte: UInt8, isLast: Bool) -> [UInt8] {
        let isPrintable = (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "=")
        let isInnerBlank = (byte == 0x20 || byte == 0x09) && !isLast
        if isPrintable || isInnerBlank { return [byte] }
        return [UInt8(ascii: "="), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}
