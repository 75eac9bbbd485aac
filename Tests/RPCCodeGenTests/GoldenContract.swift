@testable import RPCCodeGen
import SwiftProtobuf

/// The golden contract as descriptors that a test may change.
struct GoldenContract {
    var files: [Google_Protobuf_FileDescriptorProto]

    init() throws { files = try Descriptors.golden() }

    mutating func edit(_ file: String, _ body: (inout Google_Protobuf_FileDescriptorProto) -> Void) {
        for index in files.indices where files[index].name == file { body(&files[index]) }
    }

    mutating func service(_ name: String, _ body: (inout Google_Protobuf_ServiceDescriptorProto) -> Void) {
        for file in files.indices {
            for index in files[file].service.indices where files[file].service[index].name == name {
                body(&files[file].service[index])
            }
        }
    }

    mutating func declaration(_ method: String, _ body: (inout Google_Protobuf_MethodDescriptorProto) -> Void) {
        for file in files.indices {
            for service in files[file].service.indices {
                for index in files[file].service[service].method.indices
                where files[file].service[service].method[index].name == method {
                    body(&files[file].service[service].method[index])
                }
            }
        }
    }

    /// Changes the rules of a method.
    mutating func method(_ name: String, _ body: (inout ContractMethodRules) -> Void) {
        declaration(name) { body(&$0.options.Contractmethod) }
    }

    mutating func message(_ name: String, _ body: (inout Google_Protobuf_DescriptorProto) -> Void) {
        for file in files.indices {
            for index in files[file].messageType.indices where files[file].messageType[index].name == name {
                body(&files[file].messageType[index])
            }
        }
    }

    /// Changes the rules of a field: `SumRequest`, `numbers`.
    mutating func field(_ message: String, _ name: String, _ body: (inout ContractFieldRules) -> Void) {
        self.message(message) { Self.edit(&$0, name, body) }
    }

    /// The same in `Entry.Person`.
    mutating func person(_ name: String, _ body: (inout ContractFieldRules) -> Void) {
        message("Entry") { entry in
            for index in entry.nestedType.indices where entry.nestedType[index].name == "Person" {
                Self.edit(&entry.nestedType[index], name, body)
            }
        }
    }

    private static func edit(
        _ message: inout Google_Protobuf_DescriptorProto, _ name: String, _ body: (inout ContractFieldRules) -> Void
    ) {
        for index in message.field.indices where message.field[index].name == name {
            body(&message.field[index].options.Contractfield)
        }
    }
}
