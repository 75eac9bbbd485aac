package import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension ContractModel {
    /// Reads a contract from a serialized `FileDescriptorSet`, as `protoc --include_imports --include_source_info
    /// --descriptor_set_out` and `buf build` write it.
    /// - Throws: `UnreadableContract`.
    package init(descriptorSet bytes: [UInt8]) throws(UnreadableContract) {
        do {
            let set = try Google_Protobuf_FileDescriptorSet(
                serializedBytes: bytes, extensions: ContractOptions_Extensions)
            try self.init(descriptors: set.file)
        } catch let error as UnreadableContract {
            throw error
        } catch {
            throw UnreadableContract("is no descriptor set")
        }
    }

    /// - Parameter protos: All files and what they import, in any order, with the contract's options parsed.
    package init(descriptors protos: [Google_Protobuf_FileDescriptorProto]) throws(UnreadableContract) {
        let ordered = try DescriptorOrder.checked(protos)
        let set = DescriptorSet(protos: ordered)
        self.init(files: set.files.filter { !$0.package.hasPrefix("google.protobuf") })
    }
}

/// Why something is no contract that can be compared; completes "FILE ...".
package struct UnreadableContract: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Descriptors in order of their imports, complete: the library that links them ends the process otherwise.
private enum DescriptorOrder {
    static func checked(
        _ protos: [Google_Protobuf_FileDescriptorProto]
    ) throws(UnreadableContract) -> [Google_Protobuf_FileDescriptorProto] {
        let names = Set(protos.map(\.name))
        guard names.count == protos.count else { throw UnreadableContract("holds a file twice") }
        for proto in protos {
            guard !proto.hasEdition, ["", "proto2", "proto3"].contains(proto.syntax) else {
                throw UnreadableContract("holds \(proto.name), which is neither proto2 nor proto3")
            }
            guard let absent = proto.dependency.first(where: { !names.contains($0) }) else { continue }
            throw UnreadableContract("lacks \(absent), which \(proto.name) imports; write it with --include_imports")
        }
        try checkTypes(protos)
        return try sorted(protos)
    }

    private static func checkTypes(_ protos: [Google_Protobuf_FileDescriptorProto]) throws(UnreadableContract) {
        var types = DescriptorTypes()
        for proto in protos { types.add(proto) }
        guard let unknown = types.firstUnknown else { return }
        throw UnreadableContract("lacks the type \(unknown), or says of no field how JSON calls it")
    }

    private static func sorted(
        _ protos: [Google_Protobuf_FileDescriptorProto]
    ) throws(UnreadableContract) -> [Google_Protobuf_FileDescriptorProto] {
        var rest = protos.sorted { $0.name < $1.name }
        var (ordered, known): ([Google_Protobuf_FileDescriptorProto], Set<String>) = ([], [])
        while let index = rest.firstIndex(where: { known.isSuperset(of: $0.dependency) }) {
            let proto = rest.remove(at: index)
            known.insert(proto.name)
            ordered.append(proto)
        }
        guard rest.isEmpty else { throw UnreadableContract("holds files that import each other") }
        return ordered
    }
}
