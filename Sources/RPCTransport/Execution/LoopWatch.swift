import Dispatch
package import NIOCore
package import RPCCore
import Synchronization

/// A handler that held its event loop for longer than `LoopWatch.threshold`: everything else there waited as long.
package struct LoopHold: Sendable {
    package let method: MethodDescriptor
    /// So far, when it has not ended.
    package let held: Duration
    package let hasEnded: Bool
}

/// Watches event loops: how late they are, and which handler holds one too long. A server without a watch pays nothing.
///
/// A handler that holds its loop is reported once: while it still does, or when it lets go.
package final class LoopWatch: Sendable {
    /// What everybody else on the loop may be made to wait.
    package static let threshold = Duration.milliseconds(100)
    /// Between two looks at the loops, in milliseconds. A handler that lets go before the next look is reported then; looking more
    /// often would only wake a process that has nothing to do, three threads each time.
    private static let interval = 250
    /// Looks between two questions to each loop: twice a second.
    private static let looksPerProbe = 2

    private let places: [LoopPlace]
    /// Counts starts and stops: what an earlier start began ends by itself.
    private let watch = Atomic<Int>(0)
    private let looks = Atomic<Int>(0)
    private let held: @Sendable (LoopHold) -> Void
    private let delayed: @Sendable (Duration) -> Void

    /// - Parameters:
    ///   - group: The loops on which servers run their handlers.
    ///   - held: Told of each handler that holds a loop too long, on any thread.
    ///   - delayed: Told each time how late a loop was.
    package init(
        group: any EventLoopGroup, held: @escaping @Sendable (LoopHold) -> Void,
        delayed: @escaping @Sendable (Duration) -> Void
    ) {
        self.places = group.makeIterator().map { LoopPlace($0, held: held) }
        self.held = held
        self.delayed = delayed
    }

    /// How late each loop was when it was last asked; of one that has not answered yet, how late it is.
    package var delays: [Duration] { places.map { $0.delay(now: .now) } }

    package func start() { lookLater(watch.add(1, ordering: .relaxed).newValue) }

    package func stop() { watch.add(1, ordering: .relaxed) }

    /// Looks again and again, until the watch that this belongs to has ended.
    private func lookLater(_ number: Int) {
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Self.interval)) { [weak self] in
            guard let self, self.watch.load(ordering: .relaxed) == number else { return }
            self.look()
            self.lookLater(number)
        }
    }

    /// Looks once at every loop.
    package func look(now: MonotonicInstant = .now) {
        for place in places {
            if let hold = place.overdue(now: now) { held(hold) }
        }
        guard looks.add(1, ordering: .relaxed).oldValue % Self.looksPerProbe == 0 else { return }
        for place in places { place.probe(now: now, delayed) }
    }

    /// The place of a loop of the group.
    func place(of loop: any EventLoop) -> LoopPlace? { places.first { $0.loop === loop } }
}

/// Who is at work on one event loop. Entered and left on the loop, read from elsewhere.
final class LoopPlace: Sendable {
    /// A handler's stay: what was there before it, for `leave`.
    struct Stay: Sendable {
        fileprivate let outer: Visit?
    }

    fileprivate struct Visit: Sendable {
        let method: MethodDescriptor
        let since: MonotonicInstant
        var isReported = false
    }

    private struct State {
        var visit: Visit?
        var asked: MonotonicInstant?
        var delay = Duration.zero
    }

    let loop: any EventLoop
    private let state = Mutex(State())
    private let held: @Sendable (LoopHold) -> Void

    init(_ loop: any EventLoop, held: @escaping @Sendable (LoopHold) -> Void) {
        self.loop = loop
        self.held = held
    }

    /// A handler begins to run here, or goes on.
    func enter(_ method: MethodDescriptor) -> Stay {
        let visit = Visit(method: method, since: .now)
        return state.withLock { state in
            defer { state.visit = visit }
            return Stay(outer: state.visit)
        }
    }

    /// It has ended, or waits for something.
    func leave(_ stay: Stay) {
        let visit = state.withLock { state in
            defer { state.visit = stay.outer }
            return state.visit
        }
        guard let visit, !visit.isReported else { return }
        let time = visit.since.duration(to: .now)
        if time > LoopWatch.threshold { held(LoopHold(method: visit.method, held: time, hasEnded: true)) }
    }

    /// The handler that holds the loop too long, the first time somebody asks.
    func overdue(now: MonotonicInstant) -> LoopHold? {
        state.withLock { state in
            guard let visit = state.visit, !visit.isReported else { return nil }
            let time = visit.since.duration(to: now)
            guard time > LoopWatch.threshold else { return nil }
            state.visit?.isReported = true
            return LoopHold(method: visit.method, held: time, hasEnded: false)
        }
    }

    /// Asks the loop to answer, unless it still owes an answer.
    func probe(now: MonotonicInstant, _ delayed: @escaping @Sendable (Duration) -> Void) {
        let isFree = state.withLock { state in
            guard state.asked == nil else { return false }
            state.asked = now
            return true
        }
        guard isFree else { return }
        loop.execute { [self] in
            let delay = now.duration(to: .now)
            state.withLock { state in
                state.asked = nil
                state.delay = delay
            }
            delayed(delay)
        }
    }

    func delay(now: MonotonicInstant) -> Duration {
        state.withLock { state in
            max(state.delay, state.asked.map { $0.duration(to: now) } ?? .zero)
        }
    }
}
