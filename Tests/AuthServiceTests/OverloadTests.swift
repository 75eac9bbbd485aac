import RPCCore
import Testing

@testable import AuthService

@Suite struct OverloadTests {
    @Test(
        "Whoever is refused for too much work comes back after those who were let in, not before",
        arguments: [(nil, 2000), (50, 2000), (5000, 5000)] as [(Int?, Int)])
    func comesBackLater(asked: Int?, told: Int) {
        let busy = RPCError(.resourceExhausted, "planted", retryAfter: asked.map { .milliseconds($0) })
        #expect(Passwords.comingBackLater(busy).retryAfter == .milliseconds(told))
    }
}
