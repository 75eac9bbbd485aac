internal import SQL

/// A user whose account is deleted, and whom Token is to forget.
struct Departure: Sendable, Hashable {
    let userID: String
    /// How often Token has answered.
    let answers: Int
    /// 1 for the first.
    let attempt: Int
}

extension AuthStore {
    /// Takes departures that are due, and hides them from other relays for a while.
    func takeDepartures(limit: Int, lease: Duration) async throws -> [Departure] {
        let now = clock.now
        return try await write(isolation: .readCommitted) { transaction in
            try transaction.take(Self.departure, limit: limit, ["now": now, "until": now + lease]) { row in
                Departure(
                    userID: try row.get("user_id"), answers: try row.get("answers"), attempt: try row.get("attempts"))
            }
        }
    }

    private static let departure = Claim(
        from: "departures", key: "user_id", where: "next_attempt_at <= :now", orderedBy: "next_attempt_at, user_id",
        set: "attempts = attempts + 1, next_attempt_at = :until", returning: "user_id, answers, attempts")

    /// Token has answered: once more is asked when no access token of the user can be alive, then it is done.
    func note(answerFor departure: Departure) async throws {
        let again = clock.now + AuthPolicy.longestAccessTokenLifetime
        try await write { transaction in
            guard departure.answers == 0 else {
                try transaction.execute("DELETE FROM departures WHERE user_id = :user", ["user": departure.userID])
                return
            }
            try transaction.execute(
                "UPDATE departures SET answers = 1, attempts = 0, next_attempt_at = :again WHERE user_id = :user",
                ["user": departure.userID, "again": again])
        }
    }

    func postpone(_ departure: Departure, until time: Timestamp) async throws {
        try await write {
            _ = try $0.execute(
                "UPDATE departures SET next_attempt_at = :time WHERE user_id = :user",
                ["user": departure.userID, "time": time])
        }
    }

    /// When the next departure is due; nil when none waits.
    func nextDeparture() async throws -> Timestamp? {
        try await read {
            try $0.first("SELECT min(next_attempt_at) AS due FROM departures")?.get("due", as: Timestamp?.self)
        } ?? nil
    }
}
