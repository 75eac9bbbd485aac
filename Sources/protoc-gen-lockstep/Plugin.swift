import RPCCodeGen
import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// The protoc plugin: everything that it knows is in `RPCCodeGen`.
@main
struct Plugin: CodeGenerator {
    let supportedFeatures: [Google_Protobuf_Compiler_CodeGeneratorResponse.Feature] = [.proto3Optional]

    var customOptionExtensions: [any AnyMessageExtension] {
        [ContractExtensions_service, ContractExtensions_method, ContractExtensions_field]
    }

    func generate(
        files: [FileDescriptor],
        parameter: any CodeGeneratorParameter,
        protoCompilerContext: any ProtoCompilerContext,
        generatorOutputs: any GeneratorOutputs
    ) throws {
        for file in try Generator.generate(files, Options(pairs: parameter.parsedPairs)) {
            try generatorOutputs.add(fileName: file.name, contents: file.text)
        }
    }
}
