import Foundation

/// A .proto file of the contract as its descriptor: what reflection hands out. Generated.
package struct ContractFile: Sendable {
    /// `lockstep/auth/v1/auth.proto`
    package let name: String
    /// The files that it imports, those of google.protobuf left out.
    package let imports: [String]
    /// Full names of the services that it declares.
    package let services: [String]
    private let base64: String

    /// - Parameter base64: An encoded `google.protobuf.FileDescriptorProto`; line ends do not count.
    package init(name: String, imports: [String], services: [String], base64: String) {
        self.name = name
        self.imports = imports
        self.services = services
        self.base64 = base64
    }

    /// The encoded `google.protobuf.FileDescriptorProto`.
    package var descriptor: [UInt8] {
        Array(Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data())
    }
}

extension Sequence<ContractFile> {
    /// The file that declares the service, behind all that it imports; empty when none does.
    package func closure(of service: String) -> [ContractFile] {
        let known = Dictionary(map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        guard let root = known.values.first(where: { $0.services.contains(service) }) else { return [] }
        var found: [ContractFile] = []
        func add(_ file: ContractFile) {
            guard !found.contains(where: { $0.name == file.name }) else { return }
            for name in file.imports { if let imported = known[name] { add(imported) } }
            found.append(file)
        }
        add(root)
        return found
    }
}
