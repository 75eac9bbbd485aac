import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// Finds everything in a contract that the house refuses. One function for each subject, one report for each rule.
struct Lint {
    let contract: ContractModel
    private(set) var diagnostics: [Diagnostic] = []

    init(_ contract: ContractModel) {
        self.contract = contract
        for file in contract.files { checkSyntax(of: file) }
        for service in contract.services { check(service) }
        checkProcesses()
        checkServiceNames()
        checkMethodIDs()
        checkRoutes()
        for message in contract.messages {
            for field in message.fields {
                check(field)
                checkCookie(of: field, in: message)
            }
            checkOneofs(of: message)
        }
        diagnostics.sort { $0.position < $1.position }
    }

    mutating func report(_ position: Position, _ problem: String, _ advice: String) {
        diagnostics.append(Diagnostic(position: position, problem: problem, advice: advice))
    }

    private mutating func checkSyntax(of file: FileModel) {
        guard file.descriptor.edition != .proto3 else { return }
        report(
            file.descriptor.syntaxPosition, "\(file.descriptor.name) is not proto3.", "Write `syntax = \"proto3\";`.")
    }
}
