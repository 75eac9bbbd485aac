package import NIOCore
import RPCCore

/// An event loop as the home of tasks: what a handler does between two suspensions runs where its connection lives.
package final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop
    /// The method whose handler runs here, where somebody watches who holds the loop.
    private let watched: (place: LoopPlace, method: MethodDescriptor)?

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
        guard let watched else {
            return loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
        loop.execute { [self] in
            let stay = watched.place.enter(watched.method)
            job.runSynchronously(on: asUnownedTaskExecutor())
            watched.place.leave(stay)
        }
    }
}
