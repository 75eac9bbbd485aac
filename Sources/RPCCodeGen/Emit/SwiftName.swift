/// Swift's names for what a contract names.
enum SwiftName {
    /// `VerifyEmail` -> `verifyEmail`, `JWKS` -> `jwks`, `HTTPPing` -> `httpPing`; a keyword gets its backticks.
    static func member(_ name: String) -> String {
        let name = lowered(name)
        return keywords.contains(name) ? "`\(name)`" : name
    }

    private static func lowered(_ name: String) -> String {
        let run = name.prefix(while: \.isUppercase).count
        guard run > 0 else { return name }
        let count = run == 1 || run == name.count ? run : run - 1
        return name.prefix(count).lowercased() + name.dropFirst(count)
    }

    /// Words that cannot name a function or a property as they are.
    private static let keywords: Set<String> = [
        "actor", "as", "associatedtype", "async", "await", "break", "case", "catch", "class", "continue", "default",
        "defer", "deinit", "do", "else", "enum", "extension", "fallthrough", "false", "fileprivate", "for", "func",
        "guard", "if", "import", "in", "init", "inout", "internal", "is", "let", "nil", "operator", "package",
        "precedencegroup", "private", "protocol", "public", "repeat", "rethrows", "return", "self", "static", "struct",
        "subscript", "super", "switch", "throw", "throws", "true", "try", "typealias", "var", "where", "while",
    ]
}
