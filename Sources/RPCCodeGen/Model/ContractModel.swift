import SwiftProtobuf
package import SwiftProtobufPluginLibrary

/// A contract as the lint and the emitters see it: all files that are generated together.
package struct ContractModel {
    let files: [FileModel]

    /// - Parameter files: With the contract's options parsed; the options' own file is left out.
    package init(files: [FileDescriptor]) {
        self.files = files.filter { $0.package != Self.optionsPackage }.map(FileModel.init)
    }

    /// The package of `options.proto`, which says how contracts are written and is none.
    static let optionsPackage = "lockstep.contract.v1"

    var services: [ServiceModel] { files.flatMap(\.services).sorted { $0.fullName < $1.fullName } }
    var methods: [MethodModel] { services.flatMap(\.methods) }
    var messages: [MessageModel] { files.flatMap(\.messages) }
}

/// One .proto file.
struct FileModel {
    let descriptor: FileDescriptor
    let services: [ServiceModel]
    /// Nested ones too, outer ones first; map entries are no messages.
    let messages: [MessageModel]

    init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        self.services = descriptor.services.map(ServiceModel.init)
        self.messages = descriptor.messages.flatMap(Self.withNested).map(MessageModel.init)
    }

    /// `auth` of `lockstep/auth/v1/auth.proto`: what generated files are named after.
    var baseName: String {
        let name = descriptor.name.split(separator: "/").last ?? ""
        return String(name.hasSuffix(".proto") ? name.dropLast(6) : name)
    }

    private static func withNested(_ message: Descriptor) -> [Descriptor] {
        message.options.mapEntry ? [] : [message] + message.messages.flatMap(withNested)
    }
}
