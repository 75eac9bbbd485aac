import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// One method and what its options say, defaults filled in.
struct MethodModel {
    let descriptor: MethodDescriptor
    let rules: ContractMethodRules
    let execution: ContractExecution

    init(_ descriptor: MethodDescriptor, execution: ContractExecution) {
        self.descriptor = descriptor
        self.rules = descriptor.options.Contractmethod
        self.execution = execution
    }

    var name: String { descriptor.name }
    /// `lockstep.auth.v1.AuthService/CreateSession`.
    var fullName: String { "\(descriptor.service.fullName)/\(name)" }
    /// The first four bytes of SHA-256 of the full name, big-endian.
    var id: UInt32 { SHA256.prefix(of: fullName, as: UInt32.self) }
    var swiftName: String { SwiftName.member(name) }

    var request: MessageModel { MessageModel(descriptor.inputType) }
    var response: MessageModel { MessageModel(descriptor.outputType) }

    var isSync: Bool { execution == .sync }
    var streams: Bool { descriptor.clientStreaming || descriptor.serverStreaming }
    /// `.unary` and its like, as Swift text.
    var kind: String {
        switch (descriptor.clientStreaming, descriptor.serverStreaming) {
        case (false, false): "unary"
        case (true, false): "clientStreaming"
        case (false, true): "serverStreaming"
        case (true, true): "bidirectional"
        }
    }
    var isExposed: Bool { rules.hasHTTP }
    var route: RouteModel? { rules.hasHTTP ? RouteModel(rules.http) : nil }

    /// Milliseconds.
    var defaultDeadline: UInt32 { rules.deadline.defaultMs == 0 ? 5000 : rules.deadline.defaultMs }
    /// Milliseconds.
    var maximumDeadline: UInt32 { rules.deadline.maxMs == 0 ? 30000 : rules.deadline.maxMs }
    var requestLimit: UInt32 { rules.requestLimit == 0 ? 65536 : rules.requestLimit }
    var responseLimit: UInt32 { rules.responseLimit == 0 ? 65536 : rules.responseLimit }
    var inlineLimit: UInt32 { rules.inlineLimit == 0 ? 4096 : rules.inlineLimit }

    var idempotency: Google_Protobuf_MethodOptions.IdempotencyLevel { descriptor.options.idempotencyLevel }

    /// For errors: where the method's rules are, or the method itself.
    var rulesPosition: Position { descriptor.position(ofOption: .method) }
}
