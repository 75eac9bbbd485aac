/// What a mail must be before it is accepted. The contract has checked lengths and the address's form already.
enum MailRules {
    /// Bytes of a token. Values that are only shown are cut when they are shown.
    static let maximumTokenLength = 2048
    /// Bytes of the display name, as in the contract.
    static let maximumNameLength = 200
    /// Bytes of an address (RFC 5321, 4.5.3.1).
    static let maximumAddressLength = 254

    /// - Throws: `EmailError.invalid` naming every field that is wrong; values are never repeated.
    static func check(_ mail: Mail) throws {
        var problems: [EmailError.Problem] = []
        problems += addressProblem(mail.to).map { [.init(field: "to", message: $0)] } ?? []
        problems += nameProblem(mail.name).map { [.init(field: "name", message: $0)] } ?? []
        problems += variableProblems(mail)
        guard problems.isEmpty else { throw EmailError.invalid(problems) }
    }

    /// Nil for an address that is safe in a header: printable ASCII with one `@` between two parts.
    static func addressProblem(_ address: String) -> String? {
        if address.utf8.count > maximumAddressLength { return "An address has at most \(maximumAddressLength) bytes." }
        guard address.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return "An address has no spaces, line breaks or characters beyond ASCII (use the xn-- form)."
        }
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            return "An address has one @ between two parts."
        }
        guard !address.utf8.contains(where: { #"<>()[],;:\""#.utf8.contains($0) }) else {
            return "Quoted and bracketed forms of addresses are not supported."
        }
        return nil
    }

    static func nameProblem(_ name: String) -> String? {
        if name.utf8.count > maximumNameLength { return "A name has at most \(maximumNameLength) bytes." }
        return name.hasControlCharacters ? "A name has no line breaks or control characters." : nil
    }

    private static func variableProblems(_ mail: Mail) -> [EmailError.Problem] {
        let known = Set(mail.template.requiredVariables + mail.template.optionalVariables)
        let missing = mail.template.requiredVariables.filter { (mail.variables[$0] ?? "").isEmpty }.map {
            EmailError.Problem(field: "variables.\($0)", message: "\(mail.template.rawValue) needs this value.")
        }
        let wrong = mail.variables.sorted { $0.key < $1.key }.compactMap { name, value in
            problem(of: value, named: name, known: known).map { EmailError.Problem(field: "variables", message: $0) }
        }
        return missing + wrong
    }

    /// What is only shown (a browser's name for itself) may hold anything and is cleaned when it is shown; a token is
    /// used as it is.
    private static func problem(of value: String, named name: String, known: Set<String>) -> String? {
        if !known.contains(name) {
            return "The template has no value of that name; it knows: \(known.sorted().joined(separator: ", "))."
        }
        guard name == "token" else { return nil }
        if value.utf8.count > maximumTokenLength { return "\(name) has more than \(maximumTokenLength) bytes." }
        return value.hasControlCharacters ? "\(name) has line breaks or control characters." : nil
    }
}

extension String {
    /// CR, LF, NUL and the other control characters of Unicode, line and paragraph separators among them.
    var hasControlCharacters: Bool {
        unicodeScalars.contains {
            $0.properties.generalCategory == .control || $0 == "\u{2028}" || $0 == "\u{2029}"
        }
    }
}
