import SwiftProtobufPluginLibrary

extension ContractDiff {
    mutating func compareMethods(_ old: ContractModel, _ new: ContractModel) {
        let (before, after) = (named(old.methods, by: \.fullName), named(new.methods, by: \.fullName))
        var added = new.methods.filter { before[$0.fullName] == nil }
        for method in old.methods {
            if let next = after[method.fullName] {
                compare(method, next)
            } else if let next = method.successor(among: added) {
                added.removeAll { $0.fullName == next.fullName }
                report(
                    .breaking, .methodID, next.place,
                    "\(method.fullName) has another name, and with it another id: \(method.id) -> \(next.id)")
                compare(method, next)
            } else {
                report(.breaking, .method, method.removedPlace, "the method is gone")
            }
        }
        for method in added { report(.compatible, .method, method.place, "a new method") }
    }

    private mutating func compare(_ old: MethodModel, _ new: MethodModel) {
        compare(.kind, "kind", old.kind, new.kind, new.place, breaks: true)
        compareAccess(old, new)
        compareRunning(old, new)
        compareLimits(old, new)
        compareRoutes(old, new)
    }

    private mutating func compareAccess(_ old: MethodModel, _ new: MethodModel) {
        let place = new.rulesPlace
        compareNames(.caller, "caller", old.rules.callers, new.rules.callers, place)
        compare(
            .exposure, "exposure", old.rules.exposure.word, new.rules.exposure.word, place,
            breaks: new.rules.exposure.reach < old.rules.exposure.reach)
        // With the option, a token that is not good is refused; without it, passed over.
        compare(
            .optionalUser, "optional_user", old.rules.optionalUser, new.rules.optionalUser, place,
            breaks: new.rules.optionalUser)
        compareNames(.emergencyRole, "emergency role", old.rules.emergencyRoles, new.rules.emergencyRoles, place)
        guard old.rules.exposure == .admin, new.rules.exposure == .admin else { return }
        compareNames(.role, "role", old.rules.roles, new.rules.roles, place)
    }

    private mutating func compareNames(
        _ rule: Change.Rule, _ what: String, _ old: [String], _ new: [String], _ place: Place
    ) {
        for name in Set(old).subtracting(new).sorted() {
            report(.breaking, rule, place, "the \(what) \"\(name)\" is lost")
        }
        for name in Set(new).subtracting(old).sorted() {
            report(.compatible, rule, place, "a new \(what), \"\(name)\"")
        }
    }

    private mutating func compareRunning(_ old: MethodModel, _ new: MethodModel) {
        let place = new.rulesPlace
        compare(.cost, "cost", old.rules.cost.word, new.rules.cost.word, place, breaks: false)
        compare(.inlineLimit, "inline_limit", old.inlineLimit, new.inlineLimit, place, breaks: false)
        compare(
            .lane, "priority", old.rules.priority.word, new.rules.priority.word, place,
            breaks: old.rules.priority == .emergency)
        compare(
            .idempotency, "idempotency_level", old.idempotency.word, new.idempotency.word, new.place,
            breaks: new.idempotency.freedom < old.idempotency.freedom)
        compare(.onCancel, "on_cancel", old.rules.onCancel.word, new.rules.onCancel.word, place, breaks: true)
        compare(.compression, "compressed", old.rules.compressed, new.rules.compressed, place, breaks: false)
    }
}

extension MethodModel {
    var place: Place { Place(subject: fullName, position: descriptor.position()) }
    var rulesPlace: Place { Place(subject: fullName, position: rulesPosition) }

    fileprivate var removedPlace: Place { Place(subject: fullName, position: descriptor.position(), side: .old) }

    /// The one new method that this one was renamed or moved to, as far as that can be seen: it has the same name in
    /// another package, or the same messages in the same service.
    fileprivate func successor(among added: [MethodModel]) -> MethodModel? {
        let candidates = added.filter(isLike)
        return candidates.count == 1 ? candidates[0] : nil
    }

    private func isLike(_ other: MethodModel) -> Bool {
        let mine: ServiceDescriptor = descriptor.service
        let theirs: ServiceDescriptor = other.descriptor.service
        if name == other.name, mine.name == theirs.name { return true }
        return mine.fullName == theirs.fullName && request.fullName == other.request.fullName
            && response.fullName == other.response.fullName
    }
}
