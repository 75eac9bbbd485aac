/// What changed from one state of a contract to the next, judged by what callers and handlers of the old one rely on:
/// during an upgrade both are in use at once, on either side of a call.
///
/// Shapes of messages (numbers, types and names of fields, values of enumerations) are left to buf, which knows
/// protobuf's own rules; here is what only this contract says.
package struct ContractDiff: Sendable {
    /// Breaking ones first, then by place.
    package private(set) var changes: [Change] = []

    package init(from old: ContractModel, to new: ContractModel) {
        compareServices(old, new)
        compareMethods(old, new)
        compareMessages(old, new)
        changes.sort { ($0.verdict.order, $0.position, $0.text) < ($1.verdict.order, $1.position, $1.text) }
    }

    package var breaking: [Change] { changes.filter { $0.verdict == .breaking } }
    package var compatible: [Change] { changes.filter { $0.verdict == .compatible } }

    mutating func report(_ verdict: Change.Verdict, _ rule: Change.Rule, _ place: Place, _ text: String) {
        changes.append(
            Change(
                verdict: verdict, rule: rule, subject: place.subject, text: text, position: place.position,
                side: place.side))
    }

    /// Reports a value that differs. Values of protobuf's own names are shown as they are written.
    mutating func compare<Value: Equatable>(
        _ rule: Change.Rule, _ name: String, _ old: Value, _ new: Value, _ place: Place, breaks: Bool
    ) {
        guard old != new else { return }
        report(breaks ? .breaking : .compatible, rule, place, "`\(name)` \(old) -> \(new)")
    }

    /// Reports a limit that differs; a smaller one breaks.
    mutating func compareLimit(_ rule: Change.Rule, _ name: String, _ old: Bound, _ new: Bound, _ place: Place) {
        compare(rule, name, old, new, place, breaks: new < old)
    }
}

/// Where and what a change is.
struct Place {
    let subject: String
    let position: Position
    var side = Change.Side.new
}

/// An upper limit, of which zero in the contract says that there is none.
struct Bound: Comparable, CustomStringConvertible {
    let value: UInt32
    var unit = ""

    var description: String { value == 0 ? "without limit" : "\(value)\(unit)" }

    static func < (a: Bound, b: Bound) -> Bool { a.value != 0 && (b.value == 0 || a.value < b.value) }
}

extension Change.Verdict {
    fileprivate var order: Int { self == .breaking ? 0 : 1 }
}
