/// What the caller of the plugin wants: its `--lockstep_opt` parameters.
package struct Options: Sendable, Hashable {
    /// The access level of what is generated, and of its imports.
    package enum Visibility: String, Sendable, CaseIterable {
        case `package` = "Package"
        case `public` = "Public"

        var keyword: String { rawValue.lowercased() }
    }

    package enum Output: String, Sendable, CaseIterable {
        /// Descriptors, messages' conformances, handler protocols and the index.
        case handlers = "Handlers"
        /// Clients.
        case clients = "Clients"
    }

    package var visibility = Visibility.package
    package var output = Output.handlers
    /// The module that holds the messages; clients import it. Empty when they share a module.
    package var contractsModule = "Contracts"

    package init() {}

    /// - Throws: `InvalidOption` that says what is allowed.
    package init(pairs: [(key: String, value: String)]) throws(InvalidOption) {
        for pair in pairs {
            switch pair.key {
            case "Visibility": visibility = try Self.parse(pair)
            case "Output": output = try Self.parse(pair)
            case "ContractsModule": contractsModule = pair.value
            default: throw InvalidOption(description: "unknown option \(pair.key): \(Self.known)")
            }
        }
    }

    private static let known = "known are Visibility=Package|Public, Output=Handlers|Clients, ContractsModule=NAME"

    private static func parse<Value: RawRepresentable<String>>(
        _ pair: (key: String, value: String)
    ) throws(InvalidOption) -> Value {
        guard let value = Value(rawValue: pair.value) else {
            throw InvalidOption(description: "\(pair.key)=\(pair.value) is not possible: \(known)")
        }
        return value
    }
}

package struct InvalidOption: Error, CustomStringConvertible {
    package let description: String
}
