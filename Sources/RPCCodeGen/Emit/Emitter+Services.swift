import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Emitter {
    /// `enum AuthServiceContract`: the descriptors of a service and its methods.
    func emitContract(of service: ServiceModel, to text: inout SwiftText) {
        text.line()
        text.line("/// What the contract says of `\(service.fullName)`.")
        text.block("\(access) enum \(service.name)Contract {") { text in
            emitServiceDescriptor(service, to: &text)
            for method in service.methods {
                text.line()
                text.documentation(method.descriptor.protoSourceComments())
                emitMethodDescriptor(method, to: &text)
            }
        }
    }

    private func emitServiceDescriptor(_ service: ServiceModel, to text: inout SwiftText) {
        text.block("\(access) static let service = ServiceDescriptor(", closing: ")") { text in
            text.line("name: \(SwiftText.literal(service.fullName)),")
            text.line("execution: \(service.isSync ? ".sync" : ".async"), hostedByBoth: \(service.rules.hostedByBoth),")
            text.block("methods: [", closing: "],") { text in
                text.lines(service.methods.map { "\($0.swiftName)," })
            }
            text.line("fingerprint: \(hex(Fingerprint(service).value))")
        }
    }

    private func emitMethodDescriptor(_ method: MethodModel, to text: inout SwiftText) {
        text.block("\(access) static let \(method.swiftName) = MethodDescriptor(", closing: ")") { text in
            text.line("id: \(hex(method.id)),")
            text.line("service: \(SwiftText.literal(method.descriptor.service.fullName)),")
            text.line("name: \(SwiftText.literal(method.name)),")
            let kind = method.streams ? "kind: .\(method.kind), " : ""
            text.line("\(kind)execution: \(method.isSync ? ".sync" : ".async"), cost: \(cost(method)),")
            text.line("callers: \(SwiftText.list(method.rules.callers)),")
            let user = method.rules.optionalUser ? ", optionalUser: true" : ""
            text.line("exposure: \(exposure(method))\(user), maximumLane: \(lane(method))\(emergencyRoles(method)),")
            text.line("deadline: \(deadline(method)),")
            text.line("requestLimit: \(method.requestLimit), responseLimit: \(method.responseLimit),")
            let adaptive = method.rules.adaptive ? ", isAdaptive: true" : ""
            let concurrency = method.rules.concurrency == 0 ? "nil" : "\(method.rules.concurrency)"
            text.line("concurrency: \(concurrency)\(adaptive),")
            text.line("rate: \(rate(method)),")
            text.line("onCancel: \(onCancel(method)), idempotency: \(idempotency(method)),")
            emitRoute(method.route, to: &text)
            text.line("request: \(swiftName(method.request)).contractDescriptor,")
            text.line("response: \(swiftName(method.response)).contractDescriptor")
        }
    }

    private func emitRoute(_ route: RouteModel?, to text: inout SwiftText) {
        guard let route, let verb = route.verb else { return text.line("http: nil,") }
        text.block("http: HTTPRoute(", closing: "),") { text in
            text.line("verb: .\(verb), template: \(SwiftText.literal(route.template)),")
            text.line("segments: [\(route.segments.map(segment).joined(separator: ", "))],")
            let unknown = route.ignoresUnknownQuery ? ", ignoresUnknownQuery: true" : ""
            let oauth = route.isOAuth ? ", isOAuth: true" : ""
            text.line("hasBody: \(route.hasBody), success: \(route.success), maxAge: \(route.maxAge)\(unknown)\(oauth)")
        }
    }

    private func segment(_ segment: RouteModel.Segment) -> String {
        switch segment {
        case .literal(let text): ".literal(\(SwiftText.literal(text)))"
        case .field(let name): ".field(\(SwiftText.literal(name)))"
        }
    }

    private func cost(_ method: MethodModel) -> String {
        switch method.rules.cost {
        case .inline: ".inline(limit: \(method.inlineLimit))"
        case .pool: ".pool"
        case .unspecified, .UNRECOGNIZED: "nil"
        }
    }

    private func exposure(_ method: MethodModel) -> String {
        switch method.rules.exposure {
        case .public: ".public"
        case .user: ".user"
        case .admin: ".admin(roles: \(SwiftText.list(method.rules.roles)))"
        case .internal, .unspecified, .UNRECOGNIZED: ".internal"
        }
    }

    private func lane(_ method: MethodModel) -> String {
        method.rules.priority == .emergency ? ".emergency" : ".routine"
    }

    private func emergencyRoles(_ method: MethodModel) -> String {
        let roles = method.rules.emergencyRoles
        return roles.isEmpty ? "" : ", emergencyRoles: \(SwiftText.list(roles))"
    }

    private func deadline(_ method: MethodModel) -> String {
        "DeadlineRule(default: .milliseconds(\(method.defaultDeadline)), "
            + "maximum: .milliseconds(\(method.maximumDeadline)))"
    }

    private func rate(_ method: MethodModel) -> String {
        guard method.rules.hasRate else { return "nil" }
        let rate = method.rules.rate
        let key = rate.key == .user ? ".user" : ".address"
        return "Rate(limit: \(rate.limit), period: .seconds(\(rate.perSeconds)), key: \(key))"
    }

    private func onCancel(_ method: MethodModel) -> String {
        method.rules.onCancel == .detach ? ".detach" : ".cancel"
    }

    private func idempotency(_ method: MethodModel) -> String {
        switch method.idempotency {
        case .noSideEffects: ".noSideEffects"
        case .idempotent: ".idempotent"
        case .idempotencyUnknown: ".unknown"
        }
    }

    private func hex(_ number: some FixedWidthInteger & UnsignedInteger) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: number.bitWidth / 4 - digits.count) + digits
    }
}
