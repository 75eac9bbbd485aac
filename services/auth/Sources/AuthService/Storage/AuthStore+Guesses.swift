internal import RPCCore
internal import SQL

extension AuthStore {
    /// Counts a sign-in before its password is looked at: of many at once, each is another number.
    func countGuess(_ email: EmailAddress, _ origin: Origin) async throws -> Guess {
        let unknown = try Guess.subject(unknown: email)
        let now = clock.now
        return try await write { transaction in
            let credentials = try transaction.credentials(email)
            let isFamiliar = try transaction.knows(origin.network, of: credentials?.userID)
            return try transaction.count(
                credentials, subject: credentials?.userID ?? unknown, isFamiliar ? .familiar : .stranger, at: now)
        }
    }

    /// The same for a signed-in user's current password; nil when the account is gone.
    func countGuess(userID: String) async throws -> Guess? {
        let now = clock.now
        return try await write { transaction in
            guard let credentials = try transaction.credentials(userID: userID) else { return nil }
            return try transaction.count(credentials, subject: userID, .familiar, at: now)
        }
    }

    /// Runs what decides about a counted guess. What ends otherwise than with a wrong password (Encryption away, a caller
    /// that left) was no guess; it is taken back even then.
    func deciding<T>(_ guess: Guess, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as AuthError where error == .invalidCredentials || error == .wrongCurrentPassword {
            throw error
        } catch {
            await HandlerScope.outside { Task { [self] in try? await takeBack(guess) } }.value
            throw error
        }
    }

    /// Nobody learned whether the guess was right.
    func takeBack(_ guess: Guess) async throws {
        try await write {
            _ = try $0.execute(
                "UPDATE guesses SET in_a_row = in_a_row - 1 WHERE subject = :subject AND lane = :lane AND in_a_row > 0",
                ["subject": guess.subject, "lane": guess.lane])
        }
    }
}

extension Transaction {
    /// Whoever did this has the account's password or its mail.
    func forgetGuesses(of user: String) throws {
        try execute(
            "DELETE FROM guesses WHERE subject = :user AND lane NOT IN (:codes, :steps)",
            ["user": user, "codes": GuessLane.secondFactor, "steps": GuessLane.stepUp])
    }

    /// Whether somebody has signed in to the account from there lately.
    func knows(_ network: String, of user: String?) throws -> Bool {
        try first(
            "SELECT 1 FROM sessions WHERE user_id = :user AND network = :network LIMIT 1",
            ["user": user, "network": network]) != nil
    }

    fileprivate func count(
        _ credentials: Credentials?, subject: String, _ lane: GuessLane, at now: Timestamp
    ) throws -> Guess {
        let number: Int = try one(
            """
            INSERT INTO guesses (subject, lane, user_id, in_a_row, last_at) VALUES (:subject, :lane, :user, 1, :now)
            ON CONFLICT (subject, lane) DO UPDATE SET in_a_row = guesses.in_a_row + 1, last_at = excluded.last_at
            RETURNING in_a_row
            """, ["subject": subject, "lane": lane, "user": credentials?.userID, "now": now]
        ).get("in_a_row")
        return Guess(credentials: credentials, subject: subject, lane: lane, number: number)
    }
}
