package import RPCCore

/// What waits for a CPU worker, and who may wait at all: the pool's decisions as a value, without threads or clocks.
///
/// Two lanes. Emergency jobs go first and own `emergencyShare` of the places, so routine work cannot fill the queue. A
/// job is refused at once when its lane is full, or when the work before it would not leave it enough time: what a
/// method's jobs took lately says how long it needs.
package struct CPUQueue<Payload> {
    package struct Job {
        package let id: UInt64
        package let method: UInt32
        package let lane: Lane
        package let deadline: Deadline
        package let payload: Payload
    }

    package enum Refusal: Error, Hashable {
        case full(retryAfter: Duration)
        /// The time it would have to wait and run is longer than what is left.
        case tooLate(needs: Duration)
    }

    /// What a worker finds.
    package enum Next {
        case run(Job)
        /// Its deadline passed while it waited.
        case expired(Job)
    }

    /// The share of places that only emergency jobs may take: one in five.
    package static var emergencyShare: Int { 5 }

    package let capacity: Int
    package let workers: Int
    private let routineCapacity: Int
    private var emergency: [Job] = []
    private var routine: [Job] = []
    private var running: [UInt64: (method: UInt32, since: ContinuousClock.Instant)] = [:]
    private var costs: [UInt32: RunTime] = [:]
    private var nextID: UInt64 = 1

    /// - Parameters:
    ///   - capacity: Jobs that may wait, at least 1.
    ///   - workers: Threads that take from it, at least 1.
    package init(capacity: Int, workers: Int) {
        self.capacity = max(capacity, 1)
        self.workers = max(workers, 1)
        self.routineCapacity = self.capacity - self.capacity / Self.emergencyShare
    }

    package var waiting: Int { emergency.count + routine.count }
    /// Jobs that workers have.
    package var runningCount: Int { running.count }
    package var isEmpty: Bool { emergency.isEmpty && routine.isEmpty }

    /// Takes a job in.
    ///
    /// - Returns: The job's id, for `remove` and `finish`.
    package mutating func add(
        _ payload: Payload, method: UInt32, lane: Lane, deadline: Deadline, now: ContinuousClock.Instant
    ) throws(Refusal) -> UInt64 {
        let wait = expectedWait(lane, now: now)
        guard hasRoom(for: lane) else { throw .full(retryAfter: max(wait, .milliseconds(1))) }
        let needs = wait + expectedRun(method)
        guard isIdle || needs <= deadline.remaining(now: now) else { throw .tooLate(needs: needs) }
        let job = Job(id: nextID, method: method, lane: lane, deadline: deadline, payload: payload)
        nextID += 1
        if lane == .emergency { emergency.append(job) } else { routine.append(job) }
        return job.id
    }

    /// The next job for a free worker: emergency first, then in order of arrival.
    package mutating func next(now: ContinuousClock.Instant) -> Next? {
        guard let job = takeFirst() else { return nil }
        guard !job.deadline.hasPassed(now: now) else { return .expired(job) }
        running[job.id] = (job.method, now)
        return .run(job)
    }

    /// A worker has done a job; its time teaches the next estimate.
    package mutating func finish(_ id: UInt64, now: ContinuousClock.Instant) {
        guard let (method, since) = running.removeValue(forKey: id) else { return }
        costs[method, default: RunTime()].add(since.duration(to: now))
    }

    /// Takes a waiting job out; nil when it runs already or is gone.
    package mutating func remove(_ id: UInt64) -> Job? {
        if let index = routine.firstIndex(where: { $0.id == id }) { return routine.remove(at: index) }
        if let index = emergency.firstIndex(where: { $0.id == id }) { return emergency.remove(at: index) }
        return nil
    }

    /// Takes all waiting jobs out.
    package mutating func removeAll() -> [Job] {
        defer {
            emergency = []
            routine = []
        }
        return emergency + routine
    }

    /// With a free worker nothing is refused for its time: an estimate that a burst has spoilt must be able to heal.
    private var isIdle: Bool { isEmpty && running.count < workers }

    private func hasRoom(for lane: Lane) -> Bool {
        switch lane {
        case .emergency: waiting < capacity
        case .routine: routine.count < routineCapacity && waiting < capacity
        }
    }

    private mutating func takeFirst() -> Job? {
        if !emergency.isEmpty { return emergency.removeFirst() }
        return routine.isEmpty ? nil : routine.removeFirst()
    }

    /// How long until a worker is free for one more job of that lane, as far as the past can tell.
    private func expectedWait(_ lane: Lane, now: ContinuousClock.Instant) -> Duration {
        guard !isIdle else { return .zero }
        var work = running.values.reduce(Duration.zero) { sum, job in
            sum + max(.zero, expectedRun(job.method) - job.since.duration(to: now))
        }
        work += emergency.reduce(.zero) { $0 + expectedRun($1.method) }
        if lane == .routine { work += routine.reduce(.zero) { $0 + expectedRun($1.method) } }
        return work / workers
    }

    private func expectedRun(_ method: UInt32) -> Duration { costs[method]?.mean ?? .zero }
}

/// An exponentially weighted mean of run times: each new one counts one eighth.
private struct RunTime {
    private(set) var mean: Duration?

    mutating func add(_ sample: Duration) {
        guard let mean else { return self.mean = sample }
        self.mean = mean + (sample - mean) / 8
    }
}
