/// Swift source under construction: lines with indentation.
struct SwiftText {
    private(set) var text = ""
    private var depth = 0

    /// One line; an empty one has no indentation.
    mutating func line(_ content: String = "") {
        text += content.isEmpty ? "\n" : String(repeating: "    ", count: depth) + content + "\n"
    }

    mutating func lines(_ contents: [String]) {
        for content in contents { line(content) }
    }

    /// `opening`, the body one step deeper, `closing`.
    mutating func block(_ opening: String, closing: String = "}", _ body: (inout SwiftText) -> Void) {
        line(opening)
        depth += 1
        body(&self)
        depth -= 1
        line(closing)
    }

    /// One step deeper, then the closing brace: for an opening that took several lines.
    mutating func body(_ body: (inout SwiftText) -> Void) {
        depth += 1
        body(&self)
        depth -= 1
        line("}")
    }

    /// A documentation comment of one or more lines, which have their `///` already.
    mutating func documentation(_ comment: String) {
        lines(comment.split(separator: "\n").map(String.init))
    }

    /// A Swift string literal.
    static func literal(_ text: String) -> String { text.debugDescription }

    /// `["a", "b"]`
    static func list(_ texts: [String]) -> String { "[\(texts.map(literal).joined(separator: ", "))]" }
}
