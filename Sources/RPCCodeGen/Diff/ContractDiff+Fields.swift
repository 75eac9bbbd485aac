extension ContractDiff {
    mutating func compareMessages(_ old: ContractModel, _ new: ContractModel) {
        let before = named(old.messages, by: \.fullName)
        let use = MessageUse(old, new)
        for message in new.messages {
            guard let past = before[message.fullName] else { continue }
            let fields = Dictionary(past.fields.map { ($0.descriptor.number, $0) }, uniquingKeysWith: { first, _ in first })
            for field in message.fields {
                if let earlier = fields[field.descriptor.number] {
                    compare(earlier, field, in: message, use)
                } else {
                    reportNew(field, in: message, use)
                }
            }
        }
    }

    private mutating func reportNew(_ field: FieldModel, in message: MessageModel, _ use: MessageUse) {
        let place = Place(subject: "\(message.fullName).\(field.name)", position: field.descriptor.position())
        guard field.rules.required, use.isSent(message) else { return report(.compatible, .field, place, "a new field") }
        report(.breaking, .required, place, "a new field that is `required`, which callers of old do not send")
    }

    private mutating func compare(_ old: FieldModel, _ new: FieldModel, in message: MessageModel, _ use: MessageUse) {
        let position = new.descriptor.position(ofOption: .field)
        let place = Place(subject: "\(message.fullName).\(new.name)", position: position)
        compare(
            .dataClass, "class", old.rules.class.word, new.rules.class.word, place,
            breaks: new.rules.class.strength < old.rules.class.strength)
        compare(
            .required, "required", old.rules.required, new.rules.required, place,
            breaks: new.rules.required ? use.isSent(message) : use.isReceived(message))
        compareLengths(old.rules, new.rules, place, message, use)
        compareFormats(old.rules.format, new.rules.format, place, message, use)
        // Each cookie is another place where a browser keeps the value, and where the gateway looks for it.
        compare(
            .cookie, "http_cookie", old.cookie?.name ?? "none", new.cookie?.name ?? "none", place, breaks: true)
        guard let before = old.cookie, let after = new.cookie else { return }
        compare(.cookie, "http_cookie.max_age", before.maxAge, after.maxAge, place, breaks: false)
    }

    private mutating func compareLengths(
        _ old: ContractFieldRules, _ new: ContractFieldRules, _ place: Place, _ message: MessageModel, _ use: MessageUse
    ) {
        compare(
            .length, "min_length", old.minLength, new.minLength, place,
            breaks: new.minLength > old.minLength ? use.isSent(message) : use.isReceived(message))
        let (before, after) = (Bound(value: old.maxLength), Bound(value: new.maxLength))
        compare(
            .length, "max_length", before, after, place,
            breaks: after < before ? use.isSent(message) : use.isReceived(message))
    }

    private mutating func compareFormats(
        _ old: ContractFormat, _ new: ContractFormat, _ place: Place, _ message: MessageModel, _ use: MessageUse
    ) {
        let narrows = new != .unspecified
        let widens = old != .unspecified
        compare(
            .format, "format", old.word, new.word, place,
            breaks: (narrows && use.isSent(message)) || (widens && use.isReceived(message)))
    }
}

/// In which direction messages travel. Whoever sends one minds a narrower rule, whoever receives it a wider one.
private struct MessageUse {
    private let requests: Set<String>
    private let responses: Set<String>

    init(_ contracts: ContractModel...) {
        let methods = contracts.flatMap(\.methods)
        requests = Set(methods.flatMap(\.request.closure).map(\.fullName))
        responses = Set(methods.flatMap(\.response.closure).map(\.fullName))
    }

    /// By callers, in requests; or by nobody yet, which is judged as if they did.
    func isSent(_ message: MessageModel) -> Bool {
        requests.contains(message.fullName) || !responses.contains(message.fullName)
    }

    /// By callers, in responses.
    func isReceived(_ message: MessageModel) -> Bool { responses.contains(message.fullName) }
}
