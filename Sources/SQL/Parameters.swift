/// The values of a statement's named parameters: `["email": email, "name": nil]` for `:email` and `:name`.
///
/// A parameter without a value and a value without a parameter are both errors (`SQLError.Kind.misuse`).
package struct Parameters: Sendable, ExpressibleByDictionaryLiteral {
    /// In the order written; statements have a handful of parameters, so a scan beats a hash table.
    private let values: [(name: String, value: SQL.Value)]

    package static var none: Parameters { [:] }

    package init(dictionaryLiteral elements: (String, (any SQLValue)?)...) {
        values = elements.map { (name: $0.0, value: $0.1?.sqlValue ?? SQL.Value.null) }
    }

    private init(_ values: [(name: String, value: SQL.Value)]) { self.values = values }

    init(columns: [String], _ row: [SQL.Value]) {
        values = zip(columns, row).map { (name: $0, value: $1) }
    }

    func adding(_ name: String, _ value: some SQLValue) -> Parameters {
        Parameters(values + [(name: name, value: value.sqlValue)])
    }

    var count: Int { values.count }

    subscript(name: String) -> SQL.Value? {
        values.first { $0.name == name }?.value
    }

    /// The first name that is not among a statement's own.
    func firstName(notIn names: [String]) -> String? {
        values.first { !names.contains($0.name) }?.name
    }
}
