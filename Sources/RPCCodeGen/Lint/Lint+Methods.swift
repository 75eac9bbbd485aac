import SwiftProtobuf
import SwiftProtobufPluginLibrary

extension Lint {
    mutating func checkShape(of method: MethodModel) {
        let position = method.descriptor.position()
        if method.streams { checkStream(method) }
        for type in [method.descriptor.inputType, method.descriptor.outputType].compactMap({ $0 })
        where type.file.package.hasPrefix("google.protobuf") {
            report(
                position, "\(method.name) uses \(type.fullName), which has no place for rules.",
                "Write a message of its own: `message \(method.name)Request {}` or `…Response {}`.")
        }
        if method.swiftName == "service" {
            report(
                position, "\(method.name) takes the name of the service's own descriptor.", "Give it another name.")
        }
    }

    private mutating func checkStream(_ method: MethodModel) {
        let position = method.descriptor.position()
        if method.isSync {
            report(
                position, "\(method.name) streams, but its service is SYNC.",
                "Write plain messages, or move the method to an ASYNC service.")
        }
        if method.isExposed {
            report(
                method.rulesPosition,
                "\(method.name) streams, but has `http`, where a call is one request and one answer.",
                "Leave `http` out and write `exposure: INTERNAL`, or write plain messages.")
        }
        if method.rules.onCancel == .detach {
            report(
                method.rulesPosition,
                "\(method.name) streams, but is to go on without its caller, who is the other end.",
                "Leave `on_cancel: DETACH` out.")
        }
    }

    mutating func checkExecution(of method: MethodModel, in service: ServiceModel) {
        let hasCost = method.rules.cost != .unspecified
        if service.rules.execution == .sync, !hasCost {
            report(
                method.rulesPosition, "\(method.name) is SYNC and does not say what it costs.",
                "Write `cost: INLINE` for microseconds, `cost: POOL` for more.")
        }
        if service.rules.execution == .async, hasCost {
            report(
                method.rulesPosition, "\(method.name) is ASYNC, where `cost` means nothing.", "Leave `cost` out.")
        }
        if service.rules.execution == .async, method.rules.inPlace {
            report(
                method.rulesPosition, "\(method.name) is ASYNC and `in_place`: its request would have to outlive what it came in.",
                "Leave `in_place` out.")
        }
        for field in method.request.fields where method.rules.inPlace && field.message?.hasRules == true {
            report(
                method.rulesPosition, "\(method.name) is `in_place`, and nobody would check what the contract says within `\(field.name)`.",
                "Leave `in_place` out, or the rules of what `\(field.name)` holds.")
        }
        if method.rules.inlineLimit > 0, method.rules.cost != .inline {
            report(
                method.rulesPosition, "\(method.name) has an `inline_limit` without `cost: INLINE`.",
                "Leave `inline_limit` out, or write `cost: INLINE`.")
        }
    }

    mutating func checkAccess(to method: MethodModel) {
        let position = method.rulesPosition
        switch method.rules.exposure {
        case .unspecified, .UNRECOGNIZED:
            report(
                position, "\(method.name) does not say who may reach it\(method.isExposed ? ", but has `http`" : "").",
                "Write `exposure:` INTERNAL, PUBLIC, USER or ADMIN.")
        case .internal where method.isExposed:
            report(
                position, "\(method.name) is INTERNAL, but has `http`.",
                "Leave `http` out, or write `exposure:` PUBLIC, USER or ADMIN.")
        case .public where !method.isExposed, .user where !method.isExposed, .admin where !method.isExposed:
            report(
                position, "\(method.name) is exposed, but has no `http`.",
                "Write `http: {get: \"/v1/…\"}` or another verb, or `exposure: INTERNAL`.")
        case .internal, .public, .user, .admin: break
        }
        if method.isExposed, !method.rules.callers.contains("gateway") {
            report(
                position, "\(method.name) has `http`, but the gateway may not call it.",
                "Add \"gateway\" to `callers`.")
        }
        if method.rules.optionalUser, method.rules.exposure != .public {
            report(
                position, "\(method.name) has an `optional_user`, which only PUBLIC methods have.",
                "Leave `optional_user` out, or write `exposure: PUBLIC`.")
        }
        checkRoles(of: method)
        checkLane(of: method)
    }

    /// The emergency lane is for users whom the contract names by role, so a method for everybody has none.
    private mutating func checkLane(of method: MethodModel) {
        let (rules, isUrgent) = (method.rules, method.rules.priority == .emergency)
        if isUrgent, method.isExposed, rules.exposure == .public {
            report(
                method.rulesPosition, "\(method.name) is PUBLIC, where nobody proves an emergency.",
                "Write `exposure:` USER or ADMIN, or leave `priority: EMERGENCY` out.")
        } else if isUrgent, method.isExposed, rules.emergencyRoles.isEmpty {
            report(
                method.rulesPosition, "\(method.name) has an emergency lane for nobody.",
                "Write `emergency_roles: [\"…\"]` with the roles that may use it, or leave `priority` out.")
        }
        if !rules.emergencyRoles.isEmpty, !isUrgent || !method.isExposed {
            report(
                method.rulesPosition, "\(method.name) names `emergency_roles`, which nobody looks at.",
                "Leave `emergency_roles` out, or write `priority: EMERGENCY` on a method with `http`.")
        }
        if rules.adaptive, method.isSync {
            report(
                method.rulesPosition, "\(method.name) is SYNC and `adaptive`; its queue knows how long work takes.",
                "Leave `adaptive` out.")
        }
    }

    private mutating func checkRoles(of method: MethodModel) {
        let isAdmin = method.rules.exposure == .admin
        if isAdmin, method.rules.roles.isEmpty {
            report(
                method.rulesPosition, "\(method.name) is for ADMIN and names no role.",
                "Write `roles: [\"…\"]` with the roles that may.")
        }
        if !isAdmin, !method.rules.roles.isEmpty {
            report(
                method.rulesPosition, "\(method.name) names roles, which only ADMIN looks at.",
                "Write `exposure: ADMIN`, or leave `roles` out.")
        }
    }

    mutating func checkLimits(of method: MethodModel) {
        if method.defaultDeadline > method.maximumDeadline {
            report(
                method.rulesPosition,
                "\(method.name)'s default deadline of \(method.defaultDeadline) ms is beyond its maximum of "
                    + "\(method.maximumDeadline) ms.",
                "Write a `default_ms` of at most \(method.maximumDeadline), or a larger `max_ms`.")
        }
        guard method.rules.hasRate else { return }
        let rate = method.rules.rate
        if rate.limit == 0 || rate.perSeconds == 0 || rate.key == .unspecified {
            report(
                method.rulesPosition, "\(method.name)'s `rate` is incomplete.",
                "Write `rate: {limit: N, per_seconds: N, key: ADDRESS}`, or USER.")
        }
        if rate.key == .user, method.rules.exposure == .public {
            report(
                method.rulesPosition, "\(method.name) counts by USER, but PUBLIC methods have no user.",
                "Write `key: ADDRESS`.")
        }
    }

    /// Compression next to a secret leaks it by length (CRIME, BREACH).
    mutating func checkCompression(of method: MethodModel) {
        guard method.rules.compressed else { return }
        for message in method.request.closure + method.response.closure {
            guard let field = message.fields.first(where: \.isSecret) else { continue }
            return report(
                method.rulesPosition,
                "\(method.name) is compressed and carries \(message.fullName).\(field.name), which is SECRET.",
                "Leave `compressed` out: lengths would tell the secret.")
        }
    }

    mutating func checkMethodIDs() {
        var names: [UInt32: String] = [:]
        for method in contract.methods {
            if method.id == 0 {
                report(method.descriptor.position(), "\(method.fullName) has the id 0, which is reserved.", Self.rename)
            } else if let other = names.updateValue(method.fullName, forKey: method.id) {
                report(
                    method.descriptor.position(), "\(method.fullName) has the same id as \(other): \(method.id).",
                    Self.rename)
            }
        }
    }

    private static let rename = "Give it another name; ids are made from names."
}
