import CLinux
import Glibc
package import NIOCore

/// How much of a core a thread claims beside the others: its scheduling policy and its niceness (sched(7)).
package struct Scheduling: Sendable, Hashable {
    package enum Policy: Sendable, Hashable {
        case normal
        /// Does not push others aside when it wakes.
        case batch
        /// Runs when nothing else wants to.
        case idle
    }

    package var policy: Policy
    /// From 0 to 19; each step takes a tenth of the share that the thread has beside others.
    package var niceness: Int32

    package init(_ policy: Policy, niceness: Int32 = 0) {
        self.policy = policy
        self.niceness = niceness
    }

    /// What CPU pools use: event loops take a core at once when they wake, and a pool that has one to itself loses nothing.
    /// Not `idle`: with that, who else is on the machine decides how long a thread that holds a lock is without a core.
    package static let standard = Scheduling(.batch, niceness: 10)

    /// What an event loop asks to run at once, in nanoseconds. Who asks for a short slice is let in before who has a long one, 1.4 ms
    /// on two cores, as soon as it wakes (EEVDF, sched(7)); kernels before 6.12 take no notice. Not the shortest that Linux gives, a
    /// tenth of a millisecond: who has used up its slice when the tick comes waits until the next one, 4 ms later at 250 Hz, and to read a
    /// request, to work on it and to answer it takes longer than that.
    package static let loopSlice: UInt64 = 200_000

    /// Has event loops take a core from threads that compute, once they have something to do.
    package static func hasten(_ group: any EventLoopGroup) {
        for loop in group.makeIterator() { loop.execute { _ = lockstep_set_slice(loopSlice) } }
    }

    /// For the calling thread. Being refused this is no reason not to work.
    func apply() {
        var parameters = sched_param()
        // On Linux a "process" of zero is the calling thread, here and below.
        _ = sched_setscheduler(0, number, &parameters)
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }

    /// SCHED_OTHER, SCHED_BATCH and SCHED_IDLE; glibc shows the last two to GNU sources alone.
    private var number: Int32 {
        switch policy {
        case .normal: 0
        case .batch: 3
        case .idle: 5
        }
    }
}
