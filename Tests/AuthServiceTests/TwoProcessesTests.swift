import ContractClients
import Contracts
import Foundation
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Two auth processes on one database behave as one.
@Suite(.everyEngine) struct TwoProcessesTests {
    @Test("RFC 9700 4.14, ASVS 10.4.5: 50 refreshes at once by two processes are one family, round after round")
    func parallelRefreshesLoseNoSession() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        _ = try await fixture.member()
        var token = try await fixture.signIn().refreshToken
        let start = ContinuousClock.now
        var rounds = 0
        // As many rounds as fit, at least some on a slow machine; or as many as `make soak` asks for, however long they take.
        let asked = ProcessInfo.processInfo.environment["LOCKSTEP_REFRESH_ROUNDS"].flatMap(Int.init)
        while rounds < asked ?? 5 || (asked == nil && start.duration(to: .now) < .seconds(3)) {
            let used = token
            let answers = try await withThrowingTaskGroup(of: AuthSessionTokens.self) { group in
                for index in 0..<50 {
                    let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                    group.addTask {
                        var request = AuthRefreshTokensRequest()
                        request.refreshToken = used
                        return try await fixture.client(handler: handler).refreshTokens(request, CallOptions(timeout: .seconds(30)))
                    }
                }
                return try await group.reduce(into: [AuthSessionTokens]()) { $0.append($1) }
            }
            try #require(Set(answers.map(\.refreshToken)).count == 1, "one successor for all")
            try #require(answers[0].refreshToken != used)
            token = answers[0].refreshToken
            rounds += 1
        }
        let count = rounds
        let (sessions, newest, all) = try await fixture.database.read { connection in
            (
                try connection.one("SELECT count(*) AS n FROM sessions WHERE revoked_at IS NULL").get("n", as: Int.self),
                try connection.one("SELECT count(*) AS n FROM refresh_tokens WHERE rotated_at IS NULL").get("n", as: Int.self),
                try connection.one("SELECT count(*) AS n FROM refresh_tokens").get("n", as: Int.self)
            )
        }
        #expect(sessions == 1 && newest == 1 && all == count + 1)
        #expect(try await fixture.audit().count { $0 == "authn_token_reuse" } == 0)
        let seconds = start.duration(to: .now) / .seconds(1)
        print("rounds of 50 refreshes by two auth handlers on \(Engine.current.rawValue): \(count) in \(Int(seconds)) s")
    }

    @Test("ASVS 6.3.1: parallel guesses of passwords by two processes are counted one by one")
    func parallelGuessesAreCounted() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        let user = try await fixture.member()
        let numbers = try await withThrowingTaskGroup(of: Int?.self) { group in
            let email = try EmailAddress("ada@example.com")
            for index in 0..<100 {
                let store = index.isMultiple(of: 2) ? fixture.handler.store : second.handler.store
                group.addTask {
                    try await store.countGuess(email, Origin(address: "192.0.2.9", userAgent: "", requestID: "r")).number
                }
            }
            return try await group.reduce(into: [Int?]()) { $0.append($1) }
        }
        #expect(numbers.count == 100)
        #expect(numbers.compactMap(\.self).sorted() == Array(1...GuessLane.burst), "no two are the same guess of \(user.userID)")
    }
}
