import DequeModule
package import RPCCore

/// What waits for a worker, and who may wait at all: the decisions of the CPU pool and of an event loop as a value,
/// without threads or clocks.
///
/// Two lanes share the places as `LaneShares` says. A job is refused at once when its lane is full, or when the work
/// before it would not leave it enough time: what a method's jobs took lately says how long it needs. Emergency jobs
/// take the next free worker, until they have had `allowance` more of the workers' time than routine jobs that waited
/// meanwhile; from then on the lanes share the workers half and half, so a flood of emergencies starves nobody.
package struct CPUQueue<Payload> {
    package struct Job {
        package let id: UInt64
        package let method: UInt32
        package let lane: Lane
        package let deadline: Deadline
        package let payload: Payload
        fileprivate let since: MonotonicInstant
    }

    package typealias Refusal = QueueRefusal

    /// What a worker finds.
    package enum Next {
        case run(Job)
        /// Its deadline passed while it waited.
        case expired(Job)
        /// It waited longer than could be foreseen when it came: a routine job is then given back, not run late.
        case overdue(Job)
    }

    /// The jobs of one lane in order of arrival, and how many there are of each method: what they take together is
    /// always reckoned with what is known by then.
    private struct Line {
        private(set) var jobs = Deque<Job>()
        private(set) var counts: [UInt32: Int] = [:]

        mutating func append(_ job: Job) {
            jobs.append(job)
            counts[job.method, default: 0] += 1
        }

        mutating func popFirst() -> Job? { jobs.popFirst().map { taken($0) } }

        mutating func remove(_ id: UInt64) -> Job? {
            jobs.firstIndex { $0.id == id }.map { taken(jobs.remove(at: $0)) }
        }

        private mutating func taken(_ job: Job) -> Job {
            let left = (counts[job.method] ?? 1) - 1
            counts[job.method] = left > 0 ? left : nil
            return job
        }
    }

    package let policy: QueuePolicy
    private let shares: LaneShares
    private var emergency = Line()
    private var routine = Line()
    private var running: [UInt64: (method: UInt32, lane: Lane, since: MonotonicInstant)] = [:]
    private var costs: [UInt32: RunTime] = [:]
    private var nextID: UInt64 = 1
    /// What emergencies have had more than routine jobs while such waited.
    private var lead = Duration.zero
    private var strain = Strain()

    package init(_ policy: QueuePolicy) {
        self.policy = policy
        self.shares = LaneShares(limit: policy.capacity)
    }

    package var waiting: Int { emergency.jobs.count + routine.jobs.count }
    /// Jobs that workers have.
    package var runningCount: Int { running.count }
    package var isEmpty: Bool { emergency.jobs.isEmpty && routine.jobs.isEmpty }

    /// Jobs of a lane that wait.
    package func waiting(_ lane: Lane) -> Int { lane == .emergency ? emergency.jobs.count : routine.jobs.count }

    /// The job has neither begun nor been given up.
    package func isWaiting(_ id: UInt64) -> Bool {
        routine.jobs.contains { $0.id == id } || emergency.jobs.contains { $0.id == id }
    }

    /// Emergencies do not take the next worker by themselves any more.
    package var isShared: Bool { lead >= policy.allowance }

    /// Takes a job in.
    ///
    /// - Returns: The job's id, for `remove` and `finish`.
    package mutating func add(
        _ payload: Payload, method: UInt32, lane: Lane, deadline: Deadline, now: MonotonicInstant
    ) throws(Refusal) -> UInt64 {
        let wait = expectedWait(lane, now: now)
        guard shares.hasRoom(for: lane, routine: routine.jobs.count, emergency: emergency.jobs.count) else {
            throw .full(retryAfter: max(wait, .milliseconds(1)))
        }
        if lane == .routine, wait > policy.longestWait {
            throw .full(retryAfter: max(wait - policy.longestWait, .milliseconds(1)))
        }
        let run = expectedRun(method, now: now)
        guard isIdle || wait + run <= deadline.remaining(now: now) else { throw .tooLate(needs: wait + run) }
        let job = Job(id: nextID, method: method, lane: lane, deadline: deadline, payload: payload, since: now)
        nextID += 1
        if lane == .emergency { emergency.append(job) } else { routine.append(job) }
        return job.id
    }

    /// The next job for a free worker: in each lane in order of arrival.
    package mutating func next(now: MonotonicInstant) -> Next? {
        guard let job = takeFirst() else { return nil }
        guard !job.deadline.hasPassed(now: now) else { return .expired(job) }
        guard job.lane == .emergency || job.since.duration(to: now) <= policy.overdue else { return .overdue(job) }
        running[job.id] = (job.method, job.lane, now)
        return .run(job)
    }

    /// A worker has done a job; its time teaches the next estimate.
    package mutating func finish(_ id: UInt64, now: MonotonicInstant) {
        guard let (method, lane, since) = running.removeValue(forKey: id) else { return }
        let ran = since.duration(to: now)
        costs[method, default: RunTime()].add(ran)
        charge(ran, to: lane)
    }

    /// Time that a lane has had, here or beside the queue.
    package mutating func charge(_ ran: Duration, to lane: Lane) {
        guard !routine.jobs.isEmpty else { return lead = .zero }
        lead = max(.zero, lane == .emergency ? lead + ran : lead - ran)
    }

    /// Workers had jobs for `worked` out of `elapsed`, with something waiting all the while: what else they do makes
    /// everybody wait longer.
    package mutating func observe(worked: Duration, of elapsed: Duration) { strain.add(worked, of: elapsed) }

    /// Nobody waits any more: what made the others wait says nothing of those who will.
    package mutating func relax() { strain = Strain() }

    /// Takes a waiting job out; nil when it runs already or is gone.
    package mutating func remove(_ id: UInt64) -> Job? { routine.remove(id) ?? emergency.remove(id) }

    /// Takes all waiting jobs out.
    package mutating func removeAll() -> [Job] {
        defer {
            emergency = Line()
            routine = Line()
        }
        return Array(emergency.jobs) + Array(routine.jobs)
    }

    /// With a free worker nothing is refused for its time: an estimate that a burst has spoilt must be able to heal.
    private var isIdle: Bool { isEmpty && running.count < policy.workers }

    private mutating func takeFirst() -> Job? {
        if isShared, !routine.jobs.isEmpty { return routine.popFirst() }
        return emergency.popFirst() ?? routine.popFirst()
    }

    /// How long until a worker is free for one more job of that lane, as far as the past can tell: what runs, what its
    /// own lane has waiting, and as much of the other lane as goes first.
    private func expectedWait(_ lane: Lane, now: MonotonicInstant) -> Duration {
        guard !isIdle else { return .zero }
        let started = running.values.reduce(Duration.zero) { sum, job in
            sum + max(.zero, expectedRun(job.method, now: now) - job.since.duration(to: now))
        }
        let allowance = max(.zero, policy.allowance - lead)
        let (urgent, ordinary) = (work(of: emergency, now: now), work(of: routine, now: now))
        let before = switch lane {
        case .emergency: urgent + min(ordinary, max(.zero, urgent - allowance))
        case .routine: ordinary + min(urgent, allowance + ordinary)
        }
        return (started + before) / policy.workers * strain.factor
    }

    /// What the jobs of a lane are expected to take together.
    private func work(of line: Line, now: MonotonicInstant) -> Duration {
        line.counts.reduce(.zero) { $0 + expectedRun($1.key, now: now) * $1.value }
    }

    /// What is not known yet takes as long as it has run so far, wherever it runs.
    private func expectedRun(_ method: UInt32, now: MonotonicInstant) -> Duration {
        if let cost = costs[method], cost.samples >= policy.samples { return cost.mean }
        return running.values.reduce(.zero) { $1.method == method ? max($0, $1.since.duration(to: now)) : $0 }
    }
}

/// How much is taken on.
package struct QueuePolicy: Sendable, Hashable {
    /// Jobs that may wait, at least 1.
    package var capacity: Int
    /// Those who take from the queue, at least 1.
    package var workers: Int
    /// How long a routine job may be expected to wait: later, its answer is worth little.
    package var longestWait: Duration
    /// How much more time than routine work emergencies may get while both wait.
    package var allowance: Duration
    /// Runs of a method after which its time is known, at least 1. The first are slow, and where all run in microseconds
    /// a burst behind one that is not must not be refused for it.
    package var samples: Int

    package init(
        capacity: Int, workers: Int, longestWait: Duration = .milliseconds(1500), allowance: Duration = .seconds(1),
        samples: Int = 1
    ) {
        self.capacity = max(capacity, 1)
        self.workers = max(workers, 1)
        self.longestWait = longestWait
        self.allowance = allowance
        self.samples = max(samples, 1)
    }

    /// How long a routine job may really wait.
    var overdue: Duration { longestWait + longestWait / 4 }
}

/// Why a queue takes no job.
package enum QueueRefusal: Error, Hashable {
    case full(retryAfter: Duration)
    /// The time it would have to wait and run is longer than what is left.
    case tooLate(needs: Duration)
}

/// How much longer than its work a queue takes, of late.
private struct Strain {
    private var worked = Duration.zero
    private var elapsed = Duration.zero

    var factor: Double { worked > .zero ? max(1, elapsed / worked) : 1 }

    /// What was before counts for a sixteenth less each time.
    mutating func add(_ worked: Duration, of elapsed: Duration) {
        self.worked = self.worked * 15 / 16 + worked
        self.elapsed = self.elapsed * 15 / 16 + elapsed
    }
}

/// A mean of run times: of the first eight as it is, from then on exponentially weighted. A new one counts no more than
/// four times the mean.
///
/// A thread that loses its core within a job of microseconds seems to take a thousand times as long; as many calls as
/// wait would then be refused for that one. Jobs that really have become slower are known after a few.
private struct RunTime {
    private(set) var mean = Duration.zero
    private(set) var samples = 0

    private static let leastWeight = 8

    mutating func add(_ sample: Duration) {
        samples += 1
        guard samples > 1 else { return mean = sample }
        mean += (min(sample, max(mean * 4, .microseconds(1))) - mean) / min(samples, Self.leastWeight)
    }
}
