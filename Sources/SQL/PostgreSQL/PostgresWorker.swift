internal import Glibc

/// One connection with its thread: opens it, runs bodies on it, closes it.
struct PostgresWorker {
    let id: PoolState.ID
    let pool: PostgresPool
    let wakeup: Wakeup

    init(id: PoolState.ID, pool: PostgresPool, wakeup: Wakeup) {
        self.id = id
        self.pool = pool
        self.wakeup = wakeup
    }

    /// The life of the connection.
    mutating func run() {
        var line: Line
        do {
            line = try connect()
        } catch {
            return pool.failedToOpen(id, error)
        }
        pool.opened(id)
        var next = pool.next(id)
        while true {
            switch next {
            case .close:
                return
            case .work(let work):
                let (end, answer) = serve(work, &line)
                // The caller learns of it last: its next work finds this connection idle, and opens no other.
                defer { answer() }
                switch end {
                case .fit: next = pool.next(id)
                case .broken: return pool.lost(id)
                case .unreachable(let error): return pool.failedToOpen(id, error)
                }
            case .check:
                guard isAlive(line) else { return pool.lost(id) }
                next = pool.next(id)
            case .idle(let limit):
                next = rest(line, until: limit)
            }
        }
    }

    /// An idle connection notices at once when the server hangs up.
    private func rest(_ line: Line, until limit: ContinuousClock.Instant) -> PostgresPool.Next {
        switch wakeup.wait(for: line.connection.socket, until: limit) {
        case .woken: return pool.woken(id)
        case .time: return pool.woke(id)
        case .socket: return line.connection.hasHungUp ? pool.hungUp(id) : pool.woken(id)
        }
    }

    private func isAlive(_ line: Line) -> Bool {
        let patience = Patience(until: .now + .seconds(5))
        return (try? line.connection.exchange([.control("SELECT 1")], patience))?.failure == nil
            && !line.connection.isBroken
    }

    // MARK: Work

    private struct Line {
        let connection: PostgresConnection
        let session: PostgresSession
    }

    private func connect() throws -> Line {
        let connection = try PostgresConnection(
            pool.parameters, wakeup: wakeup, until: .now + pool.connectTimeout)
        return Line(
            connection: connection,
            session: PostgresSession(connection, options: pool.options, counters: pool.counters))
    }

    /// The connection after some work.
    private enum End {
        case fit
        case broken
        case unreachable(any Error)
    }

    /// Runs a body, again where its failure was not its own.
    ///
    /// - Returns: the connection's state, and what tells the caller.
    private func serve(_ work: PostgresWork, _ line: inout Line) -> (End, answer: () -> Void) {
        let item = work.item
        guard item.claim() else { return (.fit, {}) }
        let isCancelled = work.item.cancelled(waking: wakeup)
        defer { item.uninterrupted() }
        var attempt = 1
        while true {
            do {
                try run(work, attempt, line.session, isCancelled)
                return (.fit, { item.succeed() })
            } catch {
                let failure = Failure(error, line, isCancelled())
                guard failure.again(attempt, work) else {
                    pool.counters.rollbacks.add(work.isRead ? 0 : 1, ordering: .relaxed)
                    return (line.connection.isBroken ? .broken : .fit, { item.fail(failure.error) })
                }
                attempt += 1
                switch failure.retry {
                case .connection:
                    do {
                        line = try replace(failure.error)
                    } catch {
                        return (error.isUnreachable ? .unreachable(error.error) : .broken, { item.fail(failure.error) })
                    }
                case .statements: line.session.forgetStatements()
                case .conflict, .no: pause(attempt, isCancelled)
                }
            }
        }
    }

    private struct NoConnection: Error {
        let error: any Error
        let isUnreachable: Bool
    }

    /// A new connection in the place of one that broke.
    private func replace(_ cause: any Error) throws(NoConnection) -> Line {
        guard pool.reopening(id) else { throw NoConnection(error: cause, isUnreachable: false) }
        do {
            let line = try connect()
            pool.opened(id)
            return line
        } catch {
            throw NoConnection(error: error, isUnreachable: true)
        }
    }

    private func run(
        _ work: PostgresWork, _ attempt: Int, _ session: PostgresSession, _ isCancelled: @escaping () -> Bool
    ) throws {
        let longest = ContinuousClock.now + (work.longest ?? pool.options.bodyTimeout)
        let patience = Patience(until: min(work.item.deadline ?? longest, longest), isCancelled: isCancelled)
        let plan = work.plan(attempt: attempt)
        session.begin(plan.opening + limit(patience), after: plan.before, patience)
        do {
            try work.item.run(session)
            try session.rethrow()
        } catch {
            session.abandon(then: plan.closing)
            throw error
        }
        if work.isRead {
            session.abandon()
            pool.counters.reads.add(1, ordering: .relaxed)
        } else {
            // Once it is asked for, a commit is waited for: its result is what happened.
            try session.commit(then: plan.closing, Patience(until: .now + pool.options.bodyTimeout))
            pool.counters.commits.add(1, ordering: .relaxed)
            pool.counters.transactions.add(1, ordering: .relaxed)
        }
    }

    /// The server's own limit, should this process not be there any more to say when; a connection has the usual one.
    private func limit(_ patience: Patience) -> [String] {
        let rest = patience.rest
        guard rest < pool.options.bodyTimeout - .milliseconds(100) else { return [] }
        return ["SET LOCAL statement_timeout = \(max(1, rest.milliseconds))"]
    }

    /// Grows with each attempt, and differs, so that those who met once do not meet again.
    private func pause(_ attempt: Int, _ isCancelled: () -> Bool) {
        let longest = min(1 << attempt, 64)
        let end = ContinuousClock.now + .microseconds(Int.random(in: 0...(500 * longest)))
        while !isCancelled(), wakeup.wait(for: -1, until: end) != .time {}
    }

    /// Why a run failed, and whether it is worth another.
    private struct Failure {
        let error: any Error
        let retry: PostgresFailure.Retry

        /// The first sentence of the server counts, whatever the body made of it.
        init(_ thrown: any Error, _ line: Line, _ isCancelled: Bool) {
            if let known = thrown as? SQLError, case .unknownOutcome = known.kind {
                error = known
                retry = .no
            } else if isCancelled {
                error = CancellationError()
                retry = .no
            } else {
                error = thrown
                retry = line.connection.isBroken ? .connection : line.session.failure?.retry ?? .no
            }
        }

        func again(_ attempt: Int, _ work: PostgresWork) -> Bool {
            if let deadline = work.item.deadline, deadline <= .now { return false }
            return switch retry {
            case .no: false
            case .conflict: attempt < PostgresWork.attempts
            case .statements, .connection: attempt < 3
            }
        }
    }
}

/// A body and how its transactions are to be.
struct PostgresWork: Sendable {
    let item: any Work
    let mode: Mode
    /// Names the lock of those who tried in vain, and of those who migrate.
    let lock: Int64

    enum Mode: Sendable {
        case read
        case write(Isolation)
        /// Alone: nobody else migrates this schema meanwhile.
        case migration(schema: String)
    }

    /// Nil is the usual. A migration may rewrite tables, and may wait for another process that does.
    var longest: Duration? { if case .migration = mode { .seconds(3600) } else { nil } }

    var isRead: Bool { if case .read = mode { true } else { false } }

    /// A transaction that meets others again and again is run this often, its deadline allowing. With a dozen, 4 of 10,000 refreshes
    /// were given up while 32 sessions refreshed without pause.
    static let attempts = 50
    /// From this attempt on, those who failed before go one after the other; those who come fresh can still come first.
    private static let patientAttempts = 3

    /// What surrounds a body: `before` and `closing` outside of the transaction that `opening` begins.
    struct Plan {
        var before: [String] = []
        var opening: [String]
        var closing: [String] = []
    }

    func plan(attempt: Int) -> Plan { Self.plan(mode, attempt: attempt, lock: lock) }

    /// Asks first: CREATE SCHEMA IF NOT EXISTS wants the right to make one in the database even where it is there, and a role
    /// that was given a schema need not have it.
    private static func makeSchema(_ schema: String) -> String {
        "DO $$ BEGIN IF to_regnamespace('\(schema)') IS NULL THEN CREATE SCHEMA \(schema); END IF; END $$"
    }

    static func plan(_ mode: Mode, attempt: Int, lock: Int64) -> Plan {
        switch mode {
        case .read:
            return Plan(opening: ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"])
        case .write(let isolation):
            let begin = "BEGIN ISOLATION LEVEL \(isolation == .serializable ? "SERIALIZABLE" : "READ COMMITTED")"
            guard attempt >= patientAttempts else { return Plan(opening: [begin]) }
            // A lock of the session: one of the transaction would come after its snapshot.
            return Plan(
                before: ["SELECT pg_advisory_lock(\(lock))"], opening: [begin],
                closing: ["SELECT pg_advisory_unlock(\(lock))"])
        case .migration(let schema):
            // Each statement has a snapshot of its own: those after the lock see what its last holder did.
            return Plan(opening: [
                "BEGIN ISOLATION LEVEL READ COMMITTED", "SET LOCAL lock_timeout = 0", "SET LOCAL statement_timeout = 0",
                "SELECT pg_advisory_xact_lock(\(lock &+ 1))", Self.makeSchema(schema),
            ])
        }
    }
}
