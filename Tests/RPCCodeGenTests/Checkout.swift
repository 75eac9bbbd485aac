import Foundation
import RPCCodeGen
import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// The files that these tests read: checked-in descriptors, their sources and what was generated from them.
enum Checkout {
    static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let root = tests.deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String, below folder: URL = root) throws -> String {
        try String(contentsOf: folder.appending(path: path), encoding: .utf8)
    }

    /// Names of the files in a folder with that ending, in order.
    static func names(in folder: String, ending: String, below base: URL = root) throws -> [String] {
        let resolved = base.appending(path: folder).resolvingSymlinksInPath()
        return try FileManager.default.contentsOfDirectory(atPath: resolved.path)
            .filter { $0.hasSuffix(ending) }.sorted()
    }

    /// Paths of all .proto files below a folder, relative to it.
    static func protos(below folder: URL) -> Set<String> {
        let found = FileManager.default.enumerator(atPath: folder.resolvingSymlinksInPath().path)
        return Set((found?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".proto") })
    }
}

/// Checked-in descriptor sets, which `make generate` writes.
enum Descriptors {
    /// `Protocols/`, with all that it imports.
    static func protocols() throws -> [Google_Protobuf_FileDescriptorProto] { try load("protocols") }

    /// The files of the given names from `fixtures`, which import from `Protocols/` and from protobuf itself.
    static func fixtures(_ set: String, _ names: [String]) throws -> [FileDescriptor] {
        let imports = try load("protocols") + load("lint").filter { $0.package.hasPrefix("google.protobuf") }
        let known = Dictionary(imports.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let wanted = try load(set).filter { names.contains($0.name) }
        return linked(Array(known.values) + wanted, names)
    }

    /// The golden contract with all that it imports.
    static func golden() throws -> [Google_Protobuf_FileDescriptorProto] {
        let imported = try protocols().filter { $0.package.hasPrefix("google.") || $0.package.hasSuffix(".contract.v1") }
        let more = try load("lint").filter { file in
            file.package.hasPrefix("google.") && !imported.contains { $0.name == file.name }
        }
        return try imported + more + load("golden")
    }

    static func contract() throws -> [FileDescriptor] {
        let protos = try protocols()
        return linked(protos, protos.map(\.name).filter { $0.hasPrefix("lockstep/") })
    }

    private static func load(_ name: String) throws -> [Google_Protobuf_FileDescriptorProto] {
        let file = Checkout.tests.appending(path: "Descriptors/\(name).pb")
        return try Google_Protobuf_FileDescriptorSet(
            serializedBytes: Data(contentsOf: file), extensions: ContractOptions_Extensions
        ).file
    }

    /// Files in order of their imports, then those of the given names.
    private static func linked(
        _ protos: [Google_Protobuf_FileDescriptorProto], _ names: [String]
    ) -> [FileDescriptor] {
        var rest = protos.sorted { $0.name < $1.name }
        var ordered: [Google_Protobuf_FileDescriptorProto] = []
        while let index = rest.firstIndex(where: { proto in
            proto.dependency.allSatisfy { name in ordered.contains { $0.name == name } }
        }) {
            ordered.append(rest.remove(at: index))
        }
        let set = DescriptorSet(protos: ordered)
        return names.compactMap(set.fileDescriptor)
    }
}
