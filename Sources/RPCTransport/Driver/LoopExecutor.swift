package import NIOCore
import RPCCore

/// An event loop as the home of tasks: what a handler does between two suspensions runs where its connection lives.
///
/// Jobs that the loop itself makes ready, as a burst of answers does with those who wait for them, are run together in
/// one task of the loop: one entry in its queue for all of them, not one for each.
///
/// `@unchecked Sendable`: `ready` and `isScheduled` are touched on the loop only.
package final class LoopExecutor: TaskExecutor, @unchecked Sendable {
    private let loop: any EventLoop
    /// The method whose handler runs here, where somebody watches who holds the loop.
    private let watched: (place: LoopPlace, method: MethodDescriptor)?
    private var ready: [UnownedJob] = []
    private var isScheduled = false

    package init(_ loop: any EventLoop) {
        self.loop = loop
        self.watched = nil
    }

    init(_ place: LoopPlace, _ method: MethodDescriptor) {
        self.loop = place.loop
        self.watched = (place, method)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        guard loop.inEventLoop else { return loop.execute { [self] in add(job) } }
        add(job)
    }

    private func add(_ job: UnownedJob) {
        ready.append(job)
        guard !isScheduled else { return }
        isScheduled = true
        loop.execute { [self] in runReady() }
    }

    /// What these jobs make ready comes in a turn of its own, behind what else the loop has to do.
    private func runReady() {
        var jobs = ready
        ready = []
        isScheduled = false
        for job in jobs { run(job) }
        jobs.removeAll(keepingCapacity: true)
        // Memory for the next burst, unless one has begun.
        if ready.isEmpty { ready = jobs }
    }

    private func run(_ job: UnownedJob) {
        let stay = watched.map { $0.place.enter($0.method) }
        job.runSynchronously(on: asUnownedTaskExecutor())
        if let stay { watched?.place.leave(stay) }
    }
}
