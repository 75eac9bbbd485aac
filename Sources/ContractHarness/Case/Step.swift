/// One step of a case: a verb and what belongs to it.
struct Step: Sendable {
    /// In the order in which they are looked for: `start` has a `call` beside it.
    static let verbs = [
        "for", "start", "repeat", "await", "call", "cancel", "report", "close_channel", "drain", "await_drain",
        "listen",
        "accept", "connect", "send", "drip", "expect_frame", "expect_frames", "expect_close", "expect_refused",
        "expect_quiet_ms", "expect_connections", "ping", "half_close", "hang_up", "reset", "pause_reading",
        "resume_reading", "wait_ms", "memory", "alive", "set", "expect_spent_ms", "expect_no_frames", "expect_text",
        "fuzz",
        "fuzz_client", "log_lacks", "rotate", "expect_certificate",
    ]

    let verb: String
    let value: JSONValue

    init(_ value: JSONValue, in place: String) throws(CaseError) {
        guard let members = value.object else { throw CaseError("\(place): \(value.text) is no step") }
        guard let verb = Self.verbs.first(where: { members[$0] != nil }) else {
            throw CaseError("\(place): no step does \(members.keys.sorted().joined(separator: ", "))")
        }
        (self.verb, self.value) = (verb, value)
    }

    /// - Throws: `CaseError` for steps that nobody knows.
    static func check(_ steps: [JSONValue], in place: String) throws(CaseError) {
        for value in steps {
            let step = try Step(value, in: place)
            if step.verb == "for" { try check(step.value.object?["do"]?.array ?? [], in: place) }
        }
    }
}
