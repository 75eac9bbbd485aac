import Foundation

/// What the cases must cover, by number and role, and which of them does.
package struct CaseCatalogue: Sendable {
    /// One number.
    package struct Entry: Sendable {
        package let number: String
        let title: String
        let roles: [ContractRole]
        /// How the cases differ from the title, where they do.
        let note: String?
    }

    package let entries: [Entry]

    /// - Parameter folder: Where `catalogue.json` is.
    /// - Throws: `CaseError` that names the file.
    package init(folder: String) throws(CaseError) {
        let path = "\(folder)/catalogue.json"
        guard let data = FileManager.default.contents(atPath: path) else { throw CaseError("\(path) cannot be read") }
        guard let list = try JSONValue(json: data).object?["catalogue"]?.array else {
            throw CaseError("\(path) has no catalogue")
        }
        var entries: [Entry] = []
        for value in list { entries.append(try Entry(value)) }
        self.entries = entries
    }

    /// Numbers and roles that no case is for, not even one that says why not: `60 client`.
    package func gaps(in library: CaseLibrary) -> [String] {
        entries.flatMap { entry in
            entry.roles.filter { entry.cases($0, in: library).isEmpty }.map { "\(entry.number) \($0.rawValue)" }
        }
    }

    /// For people: each number with its cases in each role, then the cases that have none.
    ///
    /// - Parameter isWanted: Which cases.
    package func text(_ library: CaseLibrary, where isWanted: (ContractCase) -> Bool) -> String {
        var lines: [String] = []
        for entry in entries {
            let cases = ContractRole.allCases.flatMap { role in
                entry.cases(role, in: library).filter(isWanted).map { Self.line($0, role) }
            }
            let missing = entry.roles.filter { entry.cases($0, in: library).isEmpty }.map { "    \($0.rawValue): NO CASE" }
            if cases.isEmpty, missing.isEmpty { continue }
            lines += ["\(entry.number)  \(entry.title)\(entry.note.map { "  (\($0))" } ?? "")"] + cases + missing
        }
        let numbers = Set(entries.map(\.number))
        let others = library.cases.filter { !numbers.contains($0.number ?? "") && isWanted($0) }
        if !others.isEmpty { lines.append("-   beyond the catalogue") }
        lines += others.flatMap { testCase in testCase.roles.map { Self.line(testCase, $0) } }
        return lines.joined(separator: "\n")
    }

    /// `    server: unary/echo  W-80 W-81  What it tests.`
    private static func line(_ testCase: ContractCase, _ role: ContractRole) -> String {
        let words = [testCase.name, testCase.rules.joined(separator: " "), testCase.about, testCase.uncovered ?? ""]
        let text = words.filter { !$0.isEmpty }.joined(separator: "  ")
        return "    \(role.rawValue): \(testCase.uncovered == nil ? "" : "NOT COVERED: ")\(text)"
    }
}

extension CaseCatalogue.Entry {
    init(_ value: JSONValue) throws(CaseError) {
        var fields = try JSONFields(value, in: "catalogue.json")
        number = try fields.string("number") ?? ""
        title = try fields.string("title") ?? ""
        note = try fields.string("note")
        roles = try fields.strings("roles").compactMap(ContractRole.init(rawValue:))
        try fields.finish()
    }

    func cases(_ role: ContractRole, in library: CaseLibrary) -> [ContractCase] {
        library.cases.filter { $0.number == number && $0.roles.contains(role) }
    }
}
