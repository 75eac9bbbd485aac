extension ContractDiff {
    mutating func compareLimits(_ old: MethodModel, _ new: MethodModel) {
        let place = new.rulesPlace
        limit(.deadline, "deadline.default_ms", old.defaultDeadline, new.defaultDeadline, " ms", place)
        limit(.deadline, "deadline.max_ms", old.maximumDeadline, new.maximumDeadline, " ms", place)
        limit(.requestLimit, "request_limit", old.requestLimit, new.requestLimit, " bytes", place)
        // A wider one costs nothing that worked: callers of old refuse what their servers would not have sent.
        limit(.responseLimit, "response_limit", old.responseLimit, new.responseLimit, " bytes", place)
        limit(.concurrency, "concurrency", old.rules.concurrency, new.rules.concurrency, " calls", place)
        compare(.adaptive, "adaptive", old.rules.adaptive, new.rules.adaptive, place, breaks: new.rules.adaptive)
        compareRates(old, new)
    }

    private mutating func limit(
        _ rule: Change.Rule, _ name: String, _ old: UInt32, _ new: UInt32, _ unit: String, _ place: Place
    ) {
        compareLimit(rule, name, Bound(value: old, unit: unit), Bound(value: new, unit: unit), place)
    }

    private mutating func compareRates(_ old: MethodModel, _ new: MethodModel) {
        let (before, after) = (old.rate, new.rate)
        compare(.rate, "rate", before, after, new.rulesPlace, breaks: !after.allowsAll(of: before))
    }
}

/// How often a method may be called. Nil in the contract: as often as anybody likes.
private struct CallRate: Equatable, CustomStringConvertible {
    let rules: ContractRate?

    var description: String {
        rules.map { "\($0.limit) in \($0.perSeconds) s for each \($0.key.word)" } ?? "without limit"
    }

    /// Whether nobody who kept within `other` is refused by this one: no smaller burst, no slower refill, the same key.
    func allowsAll(of other: CallRate) -> Bool {
        guard let mine = rules else { return true }
        guard let theirs = other.rules, mine.key == theirs.key, mine.limit >= theirs.limit else { return false }
        return UInt64(mine.limit) * UInt64(theirs.perSeconds) >= UInt64(theirs.limit) * UInt64(mine.perSeconds)
    }
}

extension MethodModel {
    fileprivate var rate: CallRate { CallRate(rules: rules.hasRate ? rules.rate : nil) }
}
