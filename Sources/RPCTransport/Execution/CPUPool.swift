import Glibc
package import RPCCore

/// Threads for SYNC work that is too long for an event loop, behind a bounded queue.
///
/// Its threads give way to event loops as `Scheduling` says. A job that is refused never waits; one that waits is
/// either run, or given up with a reason, exactly once.
///
/// `@unchecked Sendable`: the queue and the flag are touched only with `lock` held.
package final class CPUPool: @unchecked Sendable {
    /// What a job is called back with.
    package enum Turn {
        /// A worker is here: run now.
        case run
        /// Its deadline passed while it waited.
        case expired
        /// It waited too long: its caller had better try again.
        case overdue
        /// The pool ends.
        case stopped
    }

    package typealias Work = @Sendable (Turn) -> Void
    package typealias Refusal = QueueRefusal

    /// Jobs that may wait, unless said otherwise.
    package static let defaultCapacity = 256

    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var queue: CPUQueue<Work>
    private var isStopped = false
    /// Time that all workers have worked, together.
    private var busy = Duration.zero
    private var threads: [pthread_t] = []
    private let scheduling: Scheduling

    /// - Parameters:
    ///   - workers: Threads; as many as there are cores when nil.
    ///   - capacity: Jobs that may wait.
    package init(
        workers: Int? = nil, capacity: Int = CPUPool.defaultCapacity, scheduling: Scheduling = .standard
    ) {
        self.queue = CPUQueue(QueuePolicy(capacity: capacity, workers: workers ?? Self.cores))
        self.scheduling = scheduling
        lock = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(lock)
        condition.deallocate()
        lock.deallocate()
    }

    package static var cores: Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

    /// Jobs that wait.
    package var waiting: Int { withLock { queue.waiting } }
    package var report: PoolReport {
        withLock {
            PoolReport(
                workers: queue.policy.workers, running: queue.runningCount, waitingRoutine: queue.waiting(.routine),
                waitingEmergency: queue.waiting(.emergency), capacity: queue.policy.capacity,
                busy: busy)
        }
    }

    /// The job has neither begun nor been given up.
    func isWaiting(_ id: UInt64) -> Bool { withLock { queue.isWaiting(id) } }

    /// Starts the workers; a second time does nothing.
    ///
    /// - Throws: `HostingError` when the system gives no thread at all.
    package func start() throws(HostingError) {
        let isRunning = withLock {
            guard threads.isEmpty, !isStopped else { return true }
            for _ in 0..<queue.policy.workers { spawn() }
            return !threads.isEmpty
        }
        guard isRunning else { throw HostingError("The system gives no thread for the CPU pool.") }
    }

    /// Takes a job in.
    ///
    /// - Returns: Its id, for `remove`.
    package func add(
        method: UInt32, lane: Lane, deadline: Deadline, now: MonotonicInstant = .now, _ work: @escaping Work
    ) throws(Refusal) -> UInt64 {
        let outcome = withLock { () -> Result<UInt64, Refusal> in
            guard !isStopped else { return .failure(.full(retryAfter: .seconds(1))) }
            do throws(Refusal) {
                let id = try queue.add(work, method: method, lane: lane, deadline: deadline, now: now)
                pthread_cond_signal(condition)
                return .success(id)
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Takes a waiting job out; false when it runs already or has been given up. A removed job is not called back.
    package func remove(_ id: UInt64) -> Bool { withLock { queue.remove(id) } != nil }

    /// Gives up what waits, lets what runs end, and waits for the threads.
    package func stop() {
        let (left, threads) = withLock {
            isStopped = true
            pthread_cond_broadcast(condition)
            defer { self.threads = [] }
            return (queue.removeAll(), self.threads)
        }
        for job in left { job.payload(.stopped) }
        for thread in threads { pthread_join(thread, nil) }
    }

    // MARK: Workers

    private func spawn() {
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CPUPool>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            }, own.toOpaque())
        if failure == 0 { threads.append(thread) } else { own.release() }
    }

    private func work() {
        scheduling.apply()
        while let turn = waitForTurn() { run(turn) }
    }

    private func waitForTurn() -> CPUQueue<Work>.Next? {
        withLock {
            while !isStopped {
                if let next = queue.next(now: .now) { return next }
                pthread_cond_wait(condition, lock)
            }
            return nil
        }
    }

    private func run(_ next: CPUQueue<Work>.Next) {
        switch next {
        case .expired(let job): job.payload(.expired)
        case .overdue(let job): job.payload(.overdue)
        case .run(let job):
            let start = MonotonicInstant.now
            job.payload(.run)
            let end = MonotonicInstant.now
            withLock {
                busy += start.duration(to: end)
                queue.finish(job.id, now: end)
            }
        }
    }

    private func withLock<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }
}
