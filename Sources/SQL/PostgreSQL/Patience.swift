internal import CLibPQ
internal import Synchronization

/// How long a body may wait for its statements, and who may stop it. Used on the connection's thread alone.
///
/// When the time has come, or the caller has gone, the server is asked to stop, once. If it does not answer that either,
/// the connection is given up.
final class Patience {
    private let deadline: ContinuousClock.Instant
    private let isCancelled: () -> Bool
    private var cancellation: PostgresCancellation?
    private var end: ContinuousClock.Instant?
    /// Why the server was asked to stop.
    private(set) var reason: Reason?

    enum Reason {
        case time
        case caller
    }

    /// For the server to answer after it was asked to stop.
    private static let grace: Duration = .seconds(5)

    init(until deadline: ContinuousClock.Instant, isCancelled: @escaping () -> Bool = { false }) {
        self.deadline = deadline
        self.isCancelled = isCancelled
    }

    /// When to look up next.
    var limit: ContinuousClock.Instant { end ?? deadline }

    /// Before a statement is sent.
    func check() throws {
        if isCancelled() { reason = .caller } else if deadline <= .now { reason = .time }
        if reason != nil { throw SQLError(.timeout, "the time for the database work is over") }
    }

    /// Time left, for the server's own limit.
    var rest: Duration { ContinuousClock.now.duration(to: deadline) }

    /// Called when the waiting thread was woken or `limit` has come.
    ///
    /// - Throws: `SQLError` of kind `.unavailable` when the connection is to be given up.
    func lookUp(_ make: () throws -> PostgresCancellation) throws {
        if let end {
            if end <= .now { throw SQLError(.unavailable, "the database server answers no more") }
            return
        }
        reason = isCancelled() ? .caller : deadline <= .now ? .time : nil
        guard reason != nil else { return }
        end = .now + Self.grace
        cancellation = try make()
        try cancellation?.start()
    }

    /// Waits until a request to stop that is under way has ended: it must not hit what runs next.
    func settle() throws {
        guard let cancellation, let end else { return }
        guard cancellation.wait(until: end) else {
            throw SQLError(.unavailable, "the database server does not take a request to stop")
        }
        self.cancellation = nil
        self.end = nil
    }
}

/// A request to stop, over a connection of its own. libpq's function for it blocks: so it has a thread of its own.
final class PostgresCancellation: Sendable {
    // Unsafe: libpq's object is never changed, and `PQcancel` is its one function for any thread.
    nonisolated(unsafe) private let cancel: OpaquePointer
    private let wakeup: Wakeup
    private let isDone = Atomic(false)

    init(_ cancel: OpaquePointer, _ wakeup: Wakeup) {
        self.cancel = cancel
        self.wakeup = wakeup
    }

    deinit { PQfreeCancel(cancel) }

    func start() throws {
        try Worker.start { [self] in
            var text = [CChar](repeating: 0, count: 256)
            _ = PQcancel(cancel, &text, 256)
            isDone.store(true, ordering: .releasing)
            wakeup.wake()
        }
    }

    func wait(until end: ContinuousClock.Instant) -> Bool {
        while !isDone.load(ordering: .acquiring) {
            if wakeup.wait(for: -1, until: end) == .time { return isDone.load(ordering: .acquiring) }
        }
        return true
    }
}
