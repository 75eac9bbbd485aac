import RPCCore
import Testing

@testable import AuthService

@Suite struct OverloadTests {
    @Test(
        "Whoever is refused for too much work comes back after those who were let in, not before",
        arguments: [(nil, 3000), (50, 3000), (5000, 5000)] as [(Int?, Int)])
    func comesBackLater(asked: Int?, told: Int) {
        let busy = RPCError(.resourceExhausted, "planted", retryAfter: asked.map { .milliseconds($0) })
        #expect(Passwords.comingBackLater(busy, after: .seconds(3)).retryAfter == .milliseconds(told))
    }

    /// The pool lets in what can begin within 1.5 s, and `Retry-After` is in whole seconds.
    @Test func nobodyComesBackBeforeOrAtOnce() {
        #expect(Passwords.pausesOfRefused.allSatisfy { $0 > .milliseconds(1500) && $0.components.attoseconds == 0 })
        #expect(Set(Passwords.pausesOfRefused).count > 1)
    }
}
