/// A statement as PostgreSQL takes it: `:name` written as `$1`, each name one number however often it stands there.
struct PostgresText: Sendable, Equatable {
    let sql: String
    /// The name of `$1`, of `$2`, ...
    let names: [String]

    init(_ sql: String) {
        var names: [String] = []
        self.sql = SQLTokens.rewrite(sql) { token, _ in
            guard token.first == UInt8(ascii: ":") else { return nil }
            let name = String(decoding: token.dropFirst(), as: UTF8.self)
            if let index = names.firstIndex(of: name) { return Array("$\(index + 1)".utf8) }
            names.append(name)
            return Array("$\(names.count)".utf8)
        }
        self.names = names
    }

    /// A migration's text: SQLite's name for bytes becomes PostgreSQL's, where it stands behind a column's name.
    static func script(_ sql: String) -> String {
        SQLTokens.rewrite(sql) { token, isBehindWord in
            isBehindWord && String(decoding: token, as: UTF8.self).uppercased() == "BLOB" ? Array("BYTEA".utf8) : nil
        }
    }
}

/// The words and parameters of SQL text, outside of strings, quoted names and comments.
enum SQLTokens {
    /// - Parameter replace: what stands in the place of a word or of a `:parameter`, told whether it follows a word or a
    ///   quoted name; nil for the same.
    static func rewrite(_ sql: String, _ replace: (ArraySlice<UInt8>, Bool) -> [UInt8]?) -> String {
        let text = Array(sql.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var index = 0
        var isBehindWord = false
        while index < text.count {
            let end = endOfToken(text, at: index)
            let token = text[index..<end]
            let isParameter = text[index] == UInt8(ascii: ":") && token.count > 1 && token.last != UInt8(ascii: ":")
            let isWord = startsWord(text[index]) || isParameter
            if isWord, let other = replace(token, isBehindWord) { out += other } else { out += token }
            if !isSpace(token) { isBehindWord = isWord || text[index] == UInt8(ascii: "\"") }
            index = end
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nothing, or a comment.
    private static func isSpace(_ token: ArraySlice<UInt8>) -> Bool {
        guard let first = token.first else { return true }
        return first <= 0x20 || (token.count > 1 && (first == UInt8(ascii: "-") || first == UInt8(ascii: "/")))
    }

    private static func endOfToken(_ text: [UInt8], at start: Int) -> Int {
        let next = start + 1 < text.count ? text[start + 1] : 0
        switch text[start] {
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return endOfQuoted(text, at: start)
        case UInt8(ascii: "-") where next == UInt8(ascii: "-"):
            return text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
        case UInt8(ascii: "/") where next == UInt8(ascii: "*"): return endOfComment(text, at: start)
        // A cast, `::text`, is no parameter.
        case UInt8(ascii: ":") where next == UInt8(ascii: ":"): return start + 2
        case UInt8(ascii: ":") where startsWord(next): return endOfWord(text, at: start + 1)
        case let byte where startsWord(byte) || isDigit(byte): return endOfWord(text, at: start)
        default: return start + 1
        }
    }

    /// A doubled quote begins the next token and ends in the same place.
    private static func endOfQuoted(_ text: [UInt8], at start: Int) -> Int {
        text[(start + 1)...].firstIndex(of: text[start]).map { $0 + 1 } ?? text.count
    }

    private static func endOfComment(_ text: [UInt8], at start: Int) -> Int {
        var index = start + 2
        while index + 1 < text.count {
            if text[index] == UInt8(ascii: "*"), text[index + 1] == UInt8(ascii: "/") { return index + 2 }
            index += 1
        }
        return text.count
    }

    private static func endOfWord(_ text: [UInt8], at start: Int) -> Int {
        text[start...].firstIndex { !startsWord($0) && !isDigit($0) } ?? text.count
    }

    private static func startsWord(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a) || byte == 0x5f || byte >= 0x80
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}
