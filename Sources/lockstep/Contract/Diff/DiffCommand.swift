import ArgumentParser
import Foundation
import RPCCodeGen

extension ContractCommand {
    /// `lockstep contract diff`
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what changed between two states of a contract, and what of it breaks callers.",
            discussion: """
                OLD and NEW are each a descriptor set (protoc --include_imports --include_source_info \
                --descriptor_set_out), a folder of .proto files (read with protoc), or a git revision, whose \
                Protocols folder is meant: HEAD~3, v1.2, or with another folder HEAD:Other/Protocols.

                Judged is what only this contract says: limits, callers, lanes, classes of data, routes, ids and the \
                like. What protobuf itself minds is buf's: `buf breaking`. `make check` runs both.

                Ends with 0, with 1 when something breaks, 64 for a bad command, 65 for what cannot be read.
                """)

        @Argument(help: ArgumentHelp("Before.", valueName: "old"))
        var old: String

        @Argument(help: ArgumentHelp("After.", valueName: "new"))
        var new: String

        @Flag(help: "Print JSON instead of a table.")
        var json = false

        func run() async throws {
            try await CommandFailure.reported {
                let diff = ContractDiff(from: try Self.contract(old), to: try Self.contract(new))
                print(json ? try DiffReport(diff).json : DiffReport(diff).table)
                if !diff.breaking.isEmpty { throw ExitCode(1) }
            }
        }

        private static func contract(_ argument: String) throws -> ContractModel {
            let bytes = try ContractSource(argument).descriptorSet()
            do {
                return try ContractModel(descriptorSet: bytes)
            } catch {
                throw CommandFailure("\(argument) \(error).", status: 65)
            }
        }
    }
}
