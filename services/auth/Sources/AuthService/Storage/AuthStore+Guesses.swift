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
                credentials, subject: credentials?.userID ?? unknown, isFamiliar ? [.familiar, .stranger] : [.stranger], at: now)
        }
    }

    /// The same for a signed-in user's current password; nil when the account is gone.
    func countGuess(userID: String) async throws -> Guess? {
        let now = clock.now
        return try await write { transaction in
            guard let credentials = try transaction.credentials(userID: userID) else { return nil }
            return try transaction.count(credentials, subject: userID, [.session], at: now)
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

    /// Nobody learned whether the guess was right. Nor does it begin a pause again that was over.
    func takeBack(_ guess: Guess) async throws {
        guard guess.isOpen else { return }
        try await write {
            _ = try $0.execute(
                """
                UPDATE guesses SET in_a_row = in_a_row - 1, last_at = last_at - :pause
                WHERE subject = :subject AND lane = :lane AND in_a_row > 0
                """,
                ["subject": guess.subject, "lane": guess.lane, "pause": GuessLane.longestPause.wholeMicroseconds])
        }
    }

    /// The current password was shown in a session.
    func forgetSessionGuesses(of user: String) async throws {
        try await write { try $0.forgetSessionGuesses(of: user) }
    }

    /// Records a wrong password, or one that was not looked at: the same for known and unknown addresses. With a lane's last
    /// guess the account's owner gets a mail, counted as those that strangers ask for.
    func recordRefusal(of guess: Guess, _ event: AuditEvent, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        let user = guess.credentials?.userID
        let isReachable = guess.credentials.map { $0.emailVerified && !$0.isDisabled } ?? false
        try await write(raising: notifications) { [policy] transaction in
            var isMailed = false
            // A known network that has used up its own goes on as any other: nothing is refused yet.
            if guess.isLast, guess.lane != .familiar {
                isMailed = policy.allowsMail(after: try transaction.mails(for: event, user: user, change)) && isReachable
                try transaction.notify(isMailed ? .passwordLocked : .nothing, user: isMailed ? user : nil, change)
            }
            try transaction.audit(event, user: user, mailed: isMailed, change)
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

    /// The same for guesses of the current password within sessions: by whoever has shown that the account is theirs.
    func forgetSessionGuesses(of user: String) throws {
        try execute(
            "DELETE FROM guesses WHERE subject = :user AND lane = :lane", ["user": user, "lane": GuessLane.session])
    }

    /// Whether somebody has signed in to the account from there lately.
    func knows(_ network: String, of user: String?) throws -> Bool {
        try first(
            "SELECT 1 FROM sessions WHERE user_id = :user AND network = :network LIMIT 1",
            ["user": user, "network": network]) != nil
    }

    /// - Parameter lanes: the first that takes a guess counts it.
    fileprivate func count(
        _ credentials: Credentials?, subject: String, _ lanes: [GuessLane], at now: Timestamp
    ) throws -> Guess {
        for lane in lanes {
            guard let number = try count(subject, lane, credentials?.userID, at: now) else { continue }
            return Guess(credentials: credentials, subject: subject, lane: lane, number: number)
        }
        // A write like the one that counts: its commit is most of what a guess costs here, and would be missed.
        try execute(
            "UPDATE guesses SET refused = refused + 1 WHERE subject = :subject AND lane = :lane",
            ["subject": subject, "lane": lanes.last])
        return Guess(credentials: credentials, subject: subject, lane: .stranger, number: nil)
    }

    /// - Returns: nil while the lane takes none.
    private func count(_ subject: String, _ lane: GuessLane, _ user: String?, at now: Timestamp) throws -> Int? {
        try first(
            """
            INSERT INTO guesses (subject, lane, user_id, in_a_row, last_at) VALUES (:subject, :lane, :user, 1, :now)
            ON CONFLICT (subject, lane) DO UPDATE SET in_a_row = guesses.in_a_row + 1, last_at = excluded.last_at
                WHERE guesses.in_a_row < :most AND \(Self.isNoPause)
            RETURNING in_a_row
            """, ["subject": subject, "lane": lane, "user": user, "now": now, "most": lane.limit]
        ) { try $0.get("in_a_row") }
    }

    /// A condition on a row of `guesses`, with `:now`.
    private static var isNoPause: String {
        let cases = (0..<GuessLane.stranger.limit).compactMap { number in
            GuessLane.pause(after: number).map { "WHEN \(number) THEN guesses.last_at + \($0.wholeMicroseconds) <= :now" }
        }
        return "CASE guesses.in_a_row \(cases.joined(separator: " ")) ELSE TRUE END"
    }
}
