import SwiftProtobufPluginLibrary

/// One service and what its options say.
struct ServiceModel {
    let descriptor: ServiceDescriptor
    let rules: ContractServiceRules
    let methods: [MethodModel]

    init(_ descriptor: ServiceDescriptor) {
        let rules = descriptor.options.Contractservice
        self.descriptor = descriptor
        self.rules = rules
        self.methods = descriptor.methods.map { MethodModel($0, execution: rules.execution) }
    }

    var name: String { descriptor.name }
    var fullName: String { descriptor.fullName }
    var isSync: Bool { rules.execution == .sync }

    /// The process that hosts the service: `auth` of `lockstep.auth.v1`, the part before the version.
    var process: String {
        let parts = descriptor.file.package.split(separator: ".")
        return parts.count < 2 ? descriptor.file.package : String(parts[parts.count - 2])
    }
}
