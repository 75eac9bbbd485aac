internal import DequeModule
internal import Synchronization

/// Connections and the work that waits for one. Each connection has a thread, which waits in the connection's socket, so
/// that neither an event loop nor the cooperative pool ever waits for the database.
final class PostgresPool: Sendable {
    enum Next {
        case work(PostgresWork)
        case idle(until: ContinuousClock.Instant)
        case check
        case close
    }

    private struct State {
        var pool: PoolState
        var waiting: Deque<PostgresWork> = []
        /// Work that a connection has been given and not yet taken.
        var handed: [PoolState.ID: PostgresWork] = [:]
        var wakeups: [PoolState.ID: Wakeup] = [:]
        var isClosed = false
        /// Why the last attempt to connect failed.
        var trouble: SQLError?
    }

    let parameters: [String: String]
    let connectTimeout: Duration
    let options: Database.Options
    let counters = Counters()
    let waitLimit: Duration
    private let state: Mutex<State>
    private let threads = ThreadCount()

    init(_ address: PostgresAddress, options: Database.Options) {
        self.options = options
        parameters = Self.parameters(address, options)
        connectTimeout = .seconds(Int(address.keywords["connect_timeout"] ?? "") ?? 5)
        waitLimit = address.pool.waitLimit
        state = Mutex(State(pool: PoolState(limits: address.pool)))
    }

    static func parameters(_ address: PostgresAddress, _ options: Database.Options) -> [String: String] {
        var parameters = address.keywords
        parameters["connect_timeout"] = nil
        if let password = address.password { parameters["password"] = password.exposed }
        parameters["client_encoding"] = "UTF8"
        if parameters["application_name"] == nil { parameters["application_name"] = "lockstep-\(address.schema)" }
        // A peer that vanished is noticed after a minute at most, by the system.
        for (name, seconds) in ["keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"] {
            parameters[name] = seconds
        }
        parameters["tcp_user_timeout"] = "60000"
        let settings = [
            "search_path=\(address.schema)", "statement_timeout=\(options.bodyTimeout.milliseconds)",
            "lock_timeout=\(options.busyTimeout.milliseconds)",
            "idle_in_transaction_session_timeout=\(2 * options.bodyTimeout.milliseconds)",
        ]
        parameters["options"] = settings.map { "-c \($0)" }.joined(separator: " ")
        return parameters
    }

    var backlog: Backlog {
        state.withLock { state in
            let reads = state.waiting.count { $0.isRead }
            return Backlog(reads: reads, writes: state.waiting.count - reads)
        }
    }

    // MARK: Work

    /// Gives work to a connection, or lets it wait for one.
    ///
    /// - Returns: why not.
    func offer(_ work: PostgresWork) -> SQLError? {
        let (refusal, opening) = state.withLock { state in Self.place(work, &state, limit: options.queueLimit) }
        if let opening { start(opening) }
        return refusal
    }

    private static func place(_ work: PostgresWork, _ state: inout State, limit: Int) -> (SQLError?, PoolState.ID?) {
        if state.isClosed { return (.closed, nil) }
        while let first = state.waiting.first, first.item.isSettled { state.waiting.removeFirst() }
        if state.waiting.count >= limit { state.waiting.removeAll { $0.item.isSettled } }
        guard state.waiting.count < limit else {
            return (SQLError(.refused, "the database queue is full (\(limit) waiting)"), nil)
        }
        switch state.pool.arrived(waiting: state.waiting.count, now: .now) {
        case .hand(let id):
            state.handed[id] = work
            state.wakeups[id]?.wake()
            return (nil, nil)
        case .wait:
            state.waiting.append(work)
            return (nil, nil)
        case .open(let id):
            state.waiting.append(work)
            return (nil, id)
        case .refuse:
            return (state.trouble ?? SQLError(.unavailable, "the database server does not answer"), nil)
        }
    }

    private func start(_ id: PoolState.ID) {
        do {
            threads.started()
            let wakeup = try Wakeup()
            state.withLock { $0.wakeups[id] = wakeup }
            try Worker.start { [self] in
                var worker = PostgresWorker(id: id, pool: self, wakeup: wakeup)
                worker.run()
                threads.ended()
            }
        } catch {
            threads.ended()
            failedToOpen(id, error)
        }
    }

    // MARK: What connections tell

    func opened(_ id: PoolState.ID) {
        state.withLock { $0.pool.opened(id, now: .now, random: .random(in: 0...1)) }
    }

    func failedToOpen(_ id: PoolState.ID, _ error: any Error) {
        let trouble = error as? SQLError ?? SQLError(.unavailable, "a connection to the database cannot be opened")
        let failed = state.withLock { state -> Deque<PostgresWork> in
            state.trouble = trouble
            state.wakeups[id] = nil
            guard state.pool.failedToOpen(id, now: .now, random: .random(in: 0...1)) else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for work in failed where work.item.claim() { work.item.fail(trouble) }
    }

    /// Whether the connection's place may be taken by a new one now.
    func reopening(_ id: PoolState.ID) -> Bool {
        state.withLock { $0.pool.reopening(id, now: .now) }
    }

    /// The connection is gone; those who wait get another.
    func lost(_ id: PoolState.ID) {
        let opening = state.withLock { state -> PoolState.ID? in
            state.pool.closed(id)
            state.wakeups[id] = nil
            guard !state.waiting.isEmpty else { return nil }
            switch state.pool.arrived(waiting: 0, now: .now) {
            case .open(let id): return id
            case .hand(let id):
                // Not to be forgotten: it counts as busy from now on, and nobody else would wake it.
                if let work = state.waiting.popFirst() { state.handed[id] = work }
                state.wakeups[id]?.wake()
                return nil
            case .wait, .refuse: return nil
            }
        }
        if let opening { start(opening) } else { giveUpWhenAlone() }
    }

    /// Nobody is left to serve those who wait, and it is too early to try again.
    private func giveUpWhenAlone() {
        let (failed, trouble) = state.withLock { state -> (Deque<PostgresWork>, SQLError?) in
            guard state.pool.count == 0 else { return ([], nil) }
            defer { state.waiting = [] }
            return (state.waiting, state.trouble)
        }
        let error = trouble ?? SQLError(.unavailable, "the database server does not answer")
        for work in failed where work.item.claim() { work.item.fail(error) }
    }

    /// What a connection does after it has done something.
    func next(_ id: PoolState.ID) -> Next {
        let (next, isLate) = state.withLock { state -> (Next, Bool) in
            while let first = state.waiting.first, first.item.isSettled { state.waiting.removeFirst() }
            switch state.pool.next(id, hasWaiting: !state.waiting.isEmpty, now: .now) {
            case .work:
                return (state.waiting.popFirst().map { .work($0) } ?? .close, false)
            case .idle(let limit) where state.isClosed:
                _ = limit
                return (Self.close(id, &state), false)
            case .idle(let limit): return (.idle(until: limit), false)
            case .check: return (.check, false)
            case .close: return (Self.close(id, &state), true)
            }
        }
        // Its age is over: those who wait get a new one.
        if isLate { lost(id) }
        return next
    }

    /// An idle connection was woken.
    func woken(_ id: PoolState.ID) -> Next {
        state.withLock { state in
            if let work = state.handed.removeValue(forKey: id) { return .work(work) }
            if state.isClosed { return Self.close(id, &state) }
            return Self.next(state.pool.woke(id, now: .now))
        }
    }

    /// Nothing came to an idle connection.
    func woke(_ id: PoolState.ID) -> Next {
        woken(id)
    }

    /// The server hung up on an idle connection; work that it was given at this moment goes to another.
    func hungUp(_ id: PoolState.ID) -> Next {
        // Closed and emptied in one: work that it was given in between would wait for nobody.
        let work = state.withLock { state in
            state.pool.closed(id)
            return state.handed.removeValue(forKey: id)
        }
        lost(id)
        if let work, let refusal = offer(work), work.item.claim() { work.item.fail(refusal) }
        return .close
    }

    private static func next(_ next: PoolState.Next) -> Next {
        switch next {
        case .idle(let limit): .idle(until: limit)
        case .check: .check
        case .close, .work: .close
        }
    }

    private static func close(_ id: PoolState.ID, _ state: inout State) -> Next {
        state.pool.closed(id)
        state.wakeups[id] = nil
        return .close
    }

    /// Finishes what waits, then closes every connection.
    func close() async {
        shut()
        await threads.allEnded()
    }

    func shut() {
        state.withLock { state in
            state.isClosed = true
            for id in state.pool.dismissIdle() { state.wakeups[id]?.wake() }
        }
    }
}
