import NIOCore
import RPCCore
import WireCore

/// Calls that wait for their turn on one event loop.
///
/// A loop that ran whatever it has read would read nothing meanwhile: neither an emergency nor the calls that it has to
/// refuse. So what has waited for long behind others that were read with it is queued here and run from the queue in
/// short slices, with a look at the sockets between any two. An emergency runs as soon as it is read, unless emergencies
/// have had more than their share while routine work waits. Lives on its loop.
final class LoopQueue {
    typealias Work = (CPUPool.Turn) -> Void

    /// How long a loop may work on what it has read before the rest is queued.
    static var burst: WireDuration { .microseconds(500) }
    /// How long it works on what is queued before it looks at its sockets. An emergency waits for one slice at most, a
    /// slice costs a few microseconds.
    static let slice = Duration.microseconds(200)
    /// Calls that may wait for one loop: so many that of microseconds it is `longestWait` that says no.
    static let capacity = 4096
    /// How long a routine call may have to wait, unless said otherwise: with what it does then, it is to end within the
    /// two seconds that callers are promised.
    static let longestWait = Duration.seconds(1)
    /// Runs after which a method's time is known.
    static let samples = 32
    /// How much longer than routine calls emergencies may run while both wait.
    static let allowance = Duration.milliseconds(20)
    /// Long enough for the loop to find nothing to do and ask for what has come.
    static let pause = TimeAmount.microseconds(10)

    let loop: any EventLoop
    private let clock: () -> MonotonicInstant
    private let pause: TimeAmount
    private var queue: CPUQueue<Work>
    private var isScheduled = false
    /// When the last slice ended, if it left anything.
    private var since: MonotonicInstant?

    init(
        _ loop: any EventLoop, longestWait: Duration = LoopQueue.longestWait, pause: TimeAmount = LoopQueue.pause,
        clock: @escaping () -> MonotonicInstant = { .now }
    ) {
        self.loop = loop
        self.clock = clock
        self.pause = pause
        queue = CPUQueue(
            QueuePolicy(
                capacity: LoopQueue.capacity, workers: 1, longestWait: longestWait, allowance: LoopQueue.allowance,
                samples: LoopQueue.samples))
    }

    /// Nothing waits.
    var isEmpty: Bool { queue.isEmpty }

    /// Whether a call may run at once.
    ///
    /// - Parameter waited: Since it was read.
    func isFree(for lane: Lane, waited: WireDuration) -> Bool {
        if queue.isEmpty { return waited < Self.burst }
        return lane == .emergency && queue.waiting(.emergency) == 0 && !queue.isShared
    }

    /// Runs an emergency before those that wait, at its lane's expense.
    func runAhead(_ body: () -> Void) {
        let start = clock()
        body()
        queue.charge(start.duration(to: clock()), to: .emergency)
    }

    /// Takes a call in, to be run or given up in a later turn of the loop.
    ///
    /// - Returns: Its ticket, for `remove`.
    func add(
        _ context: CallContext, now: MonotonicInstant, _ work: @escaping Work
    ) throws(QueueRefusal) -> UInt64 {
        let ticket = try queue.add(
            work, method: context.method.id, lane: context.lane, deadline: context.deadline, now: now)
        schedule()
        return ticket
    }

    /// Takes a waiting call out; false when it is not there any more.
    func remove(_ ticket: UInt64) -> Bool { queue.remove(ticket) != nil }

    /// A timer, not `execute`: what tasks add, the loop runs before it looks at its sockets.
    ///
    /// - Parameter behindTasks: Set the timer once the loop has run the tasks that it has now. Answers leave in such, and
    ///   would take longer than the pause: then the timer would be due before the loop had looked.
    private func schedule(behindTasks: Bool = false) {
        guard !isScheduled, !queue.isEmpty else { return }
        isScheduled = true
        if behindTasks { loop.assumeIsolated().execute { [self] in setTimer() } } else { setTimer() }
    }

    private func setTimer() {
        loop.assumeIsolated().scheduleTask(in: pause) { [self] () -> Void in
            isScheduled = false
            runSlice()
        }
    }

    private func runSlice() {
        let start = clock()
        var now = start
        while start.duration(to: now) < Self.slice, let next = queue.next(now: now) {
            run(next)
            now = clock()
            if case .run(let job) = next { queue.finish(job.id, now: now) }
        }
        note(start, now)
        schedule(behindTasks: true)
    }

    /// What the loop reads and refuses between its slices is time that those who wait have to wait too.
    private func note(_ start: MonotonicInstant, _ end: MonotonicInstant) {
        if let since { queue.observe(worked: start.duration(to: end), of: since.duration(to: end)) }
        since = queue.isEmpty ? nil : end
        if queue.isEmpty { queue.relax() }
    }

    private func run(_ next: CPUQueue<Work>.Next) {
        switch next {
        case .run(let job): job.payload(.run)
        case .expired(let job): job.payload(.expired)
        case .overdue(let job): job.payload(.overdue)
        }
    }
}
