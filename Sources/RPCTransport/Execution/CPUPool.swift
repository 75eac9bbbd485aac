import Dispatch
import Glibc
package import RPCCore
import Synchronization

/// Threads for SYNC work that is too long for an event loop, behind a bounded queue.
///
/// Its threads give way to event loops as `Scheduling` says. A job that is refused never waits; one that waits is
/// either run, or given up with a reason, exactly once.
///
/// A worker that finds nothing counts itself among the sleepers before it lies down, and whoever brings a job wakes one of them:
/// a wake-up that comes first is kept. Conditions of glibc before 2.41 lose some where several threads wait (its bug 25847).
package final class CPUPool: Sendable {
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

    private struct State {
        var queue: CPUQueue<Work>
        var isStopped = false
        var sleepers = 0
        /// Time that all workers have worked, together.
        var busy = Duration.zero
        var threads: [pthread_t] = []
    }

    private let state: Mutex<State>
    private let wakeUps = DispatchSemaphore(value: 0)
    private let scheduling: Scheduling

    /// - Parameters:
    ///   - workers: Threads; as many as there are cores when nil.
    ///   - capacity: Jobs that may wait.
    package init(
        workers: Int? = nil, capacity: Int = CPUPool.defaultCapacity, scheduling: Scheduling = .standard
    ) {
        state = Mutex(State(queue: CPUQueue(QueuePolicy(capacity: capacity, workers: workers ?? Self.cores))))
        self.scheduling = scheduling
    }

    package static var cores: Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

    /// Jobs that wait.
    package var waiting: Int { state.withLock { $0.queue.waiting } }
    package var report: PoolReport {
        state.withLock { state in
            PoolReport(
                workers: state.queue.policy.workers, running: state.queue.runningCount,
                waitingRoutine: state.queue.waiting(.routine), waitingEmergency: state.queue.waiting(.emergency),
                capacity: state.queue.policy.capacity, busy: state.busy)
        }
    }

    /// The job has neither begun nor been given up.
    func isWaiting(_ id: UInt64) -> Bool { state.withLock { $0.queue.isWaiting(id) } }

    /// Starts the workers; a second time does nothing.
    ///
    /// - Throws: `HostingError` when the system gives no thread at all.
    package func start() throws(HostingError) {
        let isRunning = state.withLock { state in
            guard state.threads.isEmpty, !state.isStopped else { return true }
            state.threads = (0..<state.queue.policy.workers).compactMap { _ in spawn() }
            return !state.threads.isEmpty
        }
        guard isRunning else { throw HostingError("The system gives no thread for the CPU pool.") }
    }

    /// Takes a job in.
    ///
    /// - Returns: Its id, for `remove`.
    package func add(
        method: UInt32, lane: Lane, deadline: Deadline, now: MonotonicInstant = .now, _ work: @escaping Work
    ) throws(Refusal) -> UInt64 {
        let (id, wakes) = try state.withLock { state throws(Refusal) in
            guard !state.isStopped else { throw .full(retryAfter: .seconds(1)) }
            let id = try state.queue.add(work, method: method, lane: lane, deadline: deadline, now: now)
            guard state.sleepers > 0 else { return (id, false) }
            state.sleepers -= 1
            return (id, true)
        }
        if wakes { wakeUps.signal() }
        return id
    }

    /// Takes a waiting job out; false when it runs already or has been given up. A removed job is not called back.
    package func remove(_ id: UInt64) -> Bool { state.withLock { $0.queue.remove(id) } != nil }

    /// Gives up what waits, lets what runs end, and waits for the threads.
    package func stop() {
        let (left, threads, sleepers) = state.withLock { state in
            state.isStopped = true
            defer { (state.threads, state.sleepers) = ([], 0) }
            return (state.queue.removeAll(), state.threads, state.sleepers)
        }
        for _ in 0..<sleepers { wakeUps.signal() }
        for job in left { job.payload(.stopped) }
        for thread in threads { pthread_join(thread, nil) }
    }

    // MARK: Workers

    private func spawn() -> pthread_t? {
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CPUPool>.fromOpaque(argument).takeRetainedValue().work()
                return nil
            }, own.toOpaque())
        guard failure == 0 else {
            own.release()
            return nil
        }
        return thread
    }

    private func work() {
        scheduling.apply()
        while let turn = waitForTurn() { run(turn) }
    }

    private func waitForTurn() -> CPUQueue<Work>.Next? {
        while true {
            let (next, isOver) = state.withLock { state -> (CPUQueue<Work>.Next?, Bool) in
                guard !state.isStopped else { return (nil, true) }
                let next = state.queue.next(now: .now)
                if next == nil { state.sleepers += 1 }
                return (next, false)
            }
            if next != nil || isOver { return next }
            wakeUps.wait()
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
            state.withLock { state in
                state.busy += start.duration(to: end)
                state.queue.finish(job.id, now: end)
            }
        }
    }
}
