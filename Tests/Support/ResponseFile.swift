import Foundation

/// Test vectors as NIST's CAVP publishes them, and others after it: records of `name = value` lines between blank ones,
/// in sections whose `[name = value]` lines hold for all that follows. They come with PyPI's `cryptography_vectors`.
package struct ResponseFile {
    package struct Record {
        /// What the section's lines say: `["IVlen": "96"]`; a line without `=` has an empty value.
        package let section: [String: String]
        /// What the record's lines say. `Key = 00` and `FAIL`, which has an empty value.
        package let fields: [String: String]

        package init(section: [String: String], fields: [String: String]) {
            self.section = section
            self.fields = fields
        }

        /// The bytes of a field in hexadecimal digits; none when the field is missing, since an empty value and none mean
        /// the same in some files.
        package func bytes(_ name: String) -> [UInt8] {
            let digits = Array((fields[name] ?? "").utf8)
            return stride(from: 0, to: digits.count - 1, by: 2).map { index in
                Self.value(digits[index]) << 4 | Self.value(digits[index + 1])
            }
        }

        private static func value(_ digit: UInt8) -> UInt8 {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
            default: 0
            }
        }
    }

    package private(set) var records: [Record] = []

    private static let directory = Result {
        try Python.run(["-c", "import cryptography_vectors as v; print(v.__path__[0], end='')"])
    }

    /// The file at `path` below the package's folder.
    package init(_ path: String) throws { self.init(text: try Self.text(path)) }

    /// The text of the file at `path` below the package's folder.
    package static func text(_ path: String) throws -> String {
        let url = URL(fileURLWithPath: try directory.get()).appending(path: path)
        return String(decoding: try Data(contentsOf: url), as: UTF8.self)
    }

    /// What a file of this text has.
    package init(text: String) {
        var (section, fields, isSection) = ([String: String](), [String: String](), false)
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard let first = line.first, first != UInt8(ascii: "\r") else {
                if !fields.isEmpty { records.append(Record(section: section, fields: fields)) }
                fields = [:]
                continue
            }
            switch first {
            case UInt8(ascii: "#"):
                break
            case UInt8(ascii: "["):
                // The first line of a section ends the one before.
                if !isSection { section = [:] }
                let (name, value) = Self.field(line.dropFirst().prefix { $0 != UInt8(ascii: "]") })
                section[name] = value
            default:
                let (name, value) = Self.field(line)
                fields[name] = value
            }
            if first != UInt8(ascii: "#") { isSection = first == UInt8(ascii: "[") }
        }
        if !fields.isEmpty { records.append(Record(section: section, fields: fields)) }
    }

    private static func field(_ line: Substring.UTF8View) -> (String, String) {
        guard let equal = line.firstIndex(of: UInt8(ascii: "=")) else { return (Self.trimmed(line), "") }
        return (trimmed(line[..<equal]), trimmed(line[line.index(after: equal)...]))
    }

    private static func trimmed(_ text: Substring.UTF8View) -> String {
        let blank = [UInt8(ascii: " "), UInt8(ascii: "\r")]
        var text = text.drop { blank.contains($0) }
        while let last = text.last, blank.contains(last) { text.removeLast() }
        return String(Substring(text))
    }
}
