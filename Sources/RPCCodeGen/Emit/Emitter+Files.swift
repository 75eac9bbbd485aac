import FoundationEssentials
import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Emitter {
    /// The .proto files themselves, for reflection: those of the contract and what they import, imported files first.
    var descriptorFile: GeneratedFile {
        var text = header("all files of the contract", imports: ["RPCCore"])
        text.line()
        text.line("/// The files of the contract as descriptors, imported ones first.")
        text.block("\(access) enum ContractFiles {") { text in
            text.block("\(access) static let all: [ContractFile] = [", closing: "]") { text in
                for file in reflectedFiles { emit(file, to: &text) }
            }
        }
        return GeneratedFile(name: "descriptors.lockstep.swift", text: text.text)
    }

    private func emit(_ file: FileDescriptor, to text: inout SwiftText) {
        text.block("ContractFile(", closing: "),") { text in
            text.line("name: \(SwiftText.literal(file.name)),")
            text.line("imports: \(SwiftText.list(Self.imports(of: file).map(\.name))),")
            text.line("services: \(SwiftText.list(file.services.map(\.fullName))),")
            text.line("base64: \"\"\"")
            text.lines(Self.base64(of: file).map { "    \($0)" })
            text.line("    \"\"\"")
        }
    }

    private var reflectedFiles: [FileDescriptor] {
        var found: [FileDescriptor] = []
        func add(_ file: FileDescriptor) {
            guard !found.contains(where: { $0.name == file.name }) else { return }
            Self.imports(of: file).forEach(add)
            found.append(file)
        }
        for file in contract.files.map(\.descriptor).sorted(by: { $0.name < $1.name }) { add(file) }
        return found
    }

    /// Everybody has protobuf's own files.
    private static func imports(of file: FileDescriptor) -> [FileDescriptor] {
        file.dependencies.filter { !$0.package.hasPrefix("google.protobuf") }
    }

    private static func base64(of file: FileDescriptor) -> [Substring] {
        var proto = file.extractProto(options: ExtractProtoOptions.withComments)
        // Comments say what a tool shows; where they stand in the text is of no use to it.
        proto.sourceCodeInfo.location = proto.sourceCodeInfo.location.compactMap { location in
            guard file.services.isEmpty == false, location.hasLeadingComments else { return nil }
            return .with {
                $0.path = location.path
                $0.leadingComments = location.leadingComments
            }
        }
        if proto.sourceCodeInfo.location.isEmpty { proto.clearSourceCodeInfo() }
        let bytes: Data = (try? proto.serializedBytes()) ?? Data()
        var rest = bytes.base64EncodedString()[...]
        var lines: [Substring] = []
        while !rest.isEmpty {
            lines.append(rest.prefix(lineLength))
            rest = rest.dropFirst(lineLength)
        }
        return lines
    }

    private static var lineLength: Int { 100 }
}

extension ExtractProtoOptions {
    fileprivate static var withComments: ExtractProtoOptions {
        var options = ExtractProtoOptions()
        options.includeSourceCodeInfo = true
        return options
    }
}
