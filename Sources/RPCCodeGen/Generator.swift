package import SwiftProtobufPluginLibrary

/// Descriptors in, Swift out: the whole generator, pure.
package enum Generator {
    /// - Parameter files: Everything that belongs to one contract, with `ContractOptions_Extensions` parsed.
    /// - Throws: `LintFailure` with everything that is wrong in the contract.
    package static func generate(_ files: [FileDescriptor], _ options: Options) throws(LintFailure) -> [GeneratedFile] {
        let contract = ContractModel(files: files)
        let diagnostics = Lint(contract).diagnostics
        guard diagnostics.isEmpty else { throw LintFailure(diagnostics: diagnostics) }
        return Emitter(contract: contract, options: options).files
    }
}
