internal import Synchronization

/// SQLite behind `Database`: a writer thread, reader threads, and a bounded queue before each.
final class SQLiteDriver: Driver {
    private let writes: WorkQueue
    private let reads: WorkQueue
    private let counters = Counters()
    private let readers = ThreadCount()
    private let writer = ThreadCount()

    private let path: String
    private let options: Database.Options

    private init(path: String, options: Database.Options) {
        self.path = path
        self.options = options
        writes = WorkQueue(limit: options.queueLimit)
        reads = WorkQueue(limit: options.queueLimit)
    }

    deinit {
        writes.close()
        reads.close()
    }

    static func open(path: String, options: Database.Options) async throws -> SQLiteDriver {
        guard !path.isEmpty, path != ":memory:" else {
            throw SQLError(.unsupported, "the database URL must name a file: sqlite:<path>")
        }
        let driver = SQLiteDriver(path: path, options: options)
        do {
            try await driver.startWriter(path, options)
            for _ in 0..<max(1, options.readers) { try await driver.startReader(path, options) }
        } catch {
            await driver.close()
            throw error
        }
        return driver
    }

    var statistics: Statistics { counters.snapshot }
    var backlog: Backlog { Backlog(reads: reads.count, writes: writes.count) }

    func read<T: Sendable>(
        deadline: ContinuousClock.Instant?, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        try await enqueue(deadline, in: reads, body)
    }

    /// The one writer makes every transaction serial.
    func write<T: Sendable>(
        deadline: ContinuousClock.Instant?, isolation: Isolation, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        try await enqueue(deadline, in: writes, body)
    }

    /// The lock of the file keeps a second process waiting.
    func migrate<T: Sendable>(_ body: @escaping @Sendable (any Session) throws -> T) async throws -> T {
        try await enqueue(nil, in: writes, body)
    }

    /// On a thread and a connection of its own: in a transaction, as the writer's work is, it cannot be done.
    func emptyLog() async throws -> Bool {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Bool, any Error>) in
            // Counted from here on, so that `close` waits for it.
            readers.started()
            do {
                try Worker.start { [path, options, counters, readers] in
                    let result = Result { try Self.emptyLog(path, options, counters) }
                    readers.ended()
                    done.resume(with: result)
                }
            } catch {
                readers.ended()
                done.resume(throwing: error)
            }
        }
    }

    private static func emptyLog(_ path: String, _ options: Database.Options, _ counters: Counters) throws -> Bool {
        let connection = try SQLiteConnection(path: path, readOnly: false, options: options, counters: counters)
        let rows = try connection.query("PRAGMA wal_checkpoint(TRUNCATE)", .none, limit: 1)
        return try rows.first?.get("busy", as: Int.self) == 0
    }

    /// The writer's connection goes last and alone: then SQLite folds the log into the file.
    func close() async {
        reads.close()
        await readers.allEnded()
        writes.close()
        await writer.allEnded()
    }

    private func enqueue<T: Sendable>(
        _ deadline: ContinuousClock.Instant?, in queue: WorkQueue, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        let work = PendingWork(deadline: deadline, body: body)
        return try await work.result { [counters] item in
            let refusal = queue.offer(item)
            if refusal != nil { counters.refusals.add(1, ordering: .relaxed) }
            return refusal
        }
    }

    private func startWriter(_ path: String, _ options: Database.Options) async throws {
        try await start(path, readOnly: false, options, in: writer) { [writes, counters] connection in
            SQLiteWriter(connection: connection, options: options, counters: counters).serve(writes)
        }
    }

    private func startReader(_ path: String, _ options: Database.Options) async throws {
        try await start(path, readOnly: true, options, in: readers) { [reads, counters] connection in
            SQLiteReader(connection: connection, options: options, counters: counters).serve(reads)
        }
    }

    /// Starts a thread that opens its own connection, reports whether that worked, and serves.
    private func start(
        _ path: String, readOnly: Bool, _ options: Database.Options, in threads: ThreadCount,
        _ serve: @escaping @Sendable (SQLiteConnection) -> Void
    ) async throws {
        try await withCheckedThrowingContinuation { (ready: CheckedContinuation<Void, any Error>) in
            do {
                try Worker.start { [counters] in
                    threads.started()
                    Self.openAndServe(
                        { try SQLiteConnection(path: path, readOnly: readOnly, options: options, counters: counters) },
                        ready, serve)
                    threads.ended()
                }
            } catch {
                ready.resume(throwing: error)
            }
        }
    }

    /// The connection is closed when this returns, and not before the queue is.
    private static func openAndServe(
        _ open: () throws -> SQLiteConnection, _ ready: CheckedContinuation<Void, any Error>,
        _ serve: (SQLiteConnection) -> Void
    ) {
        do {
            let connection = try open()
            ready.resume()
            serve(connection)
        } catch {
            ready.resume(throwing: error)
        }
    }
}

/// Lets `close` wait for the threads, which close their connections as they end.
final class ThreadCount: Sendable {
    private struct State {
        var running = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func started() {
        state.withLock { $0.running += 1 }
    }

    func ended() {
        let waiters = state.withLock { state in
            state.running -= 1
            defer { if state.running == 0 { state.waiters = [] } }
            return state.running == 0 ? state.waiters : []
        }
        for waiter in waiters { waiter.resume() }
    }

    func allEnded() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.running > 0 { state.waiters.append(continuation) }
                return state.running == 0
            }
            if isOver { continuation.resume() }
        }
    }
}
