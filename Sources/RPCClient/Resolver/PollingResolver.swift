import NIOCore
import NIOPosix
package import RPCTransport
import Synchronization
import WireCore

/// A place to look for addresses that takes its time: runs on a thread that may wait, one look at a time.
protocol AddressSource: Sendable {
    var description: String { get }
    /// - Returns: The addresses, at least one; nil when nothing has changed since the last look.
    mutating func look() throws(ResolverError) -> [HostPort]?
}

/// Looks at a source again and again, as `ResolutionSchedule` says. No event loop ever waits for a look: it runs on
/// threads of its own, at most one for each resolver.
package final class PollingResolver: PeerResolver {
    private struct State {
        var schedule: ResolutionSchedule
        var found: (@Sendable (Result<[HostPort], ResolverError>) -> Void)?
        var timer: Scheduled<Void>?
    }

    package let description: String
    private let threads: NIOThreadPool
    private let loop: any EventLoop
    private let source: Mutex<any AddressSource>
    private let state: Mutex<State>

    init(_ source: some AddressSource, on threads: NIOThreadPool, schedule: ResolutionSchedule) {
        description = source.description
        self.threads = threads
        self.source = Mutex(source)
        loop = MultiThreadedEventLoopGroup.singleton.any()
        state = Mutex(State(schedule: schedule))
    }

    package var known: [HostPort] { [] }

    package func start(_ found: @escaping @Sendable (Result<[HostPort], ResolverError>) -> Void) {
        state.withLock { $0.found = found }
        step { $0.start(now: $1) }
    }

    package func refresh() { step { $0.refresh(now: $1) } }

    package func stop() {
        let timer = state.withLock { state in
            state.schedule.stop()
            state.found = nil
            return state.timer
        }
        timer?.cancel()
    }

    private func step(
        _ event: (inout ResolutionSchedule, ContinuousClock.Instant) -> ResolutionSchedule.Action?
    ) {
        // Decided and armed in one: a later decision must not lose to the timer of an earlier one.
        let (isDue, old) = state.withLock { state -> (Bool, Scheduled<Void>?) in
            switch event(&state.schedule, .now) {
            case .look: return (true, nil)
            case .wait(let until):
                defer { state.timer = timer(until) }
                return (false, state.timer)
            case nil: return (false, nil)
            }
        }
        old?.cancel()
        if isDue { threads.submit { [self] _ in look() } }
    }

    private func timer(_ until: ContinuousClock.Instant) -> Scheduled<Void> {
        let delay = WireDuration(ContinuousClock.now.duration(to: until)).nanoseconds
        return loop.scheduleTask(in: .nanoseconds(Int64(clamping: delay))) { [weak self] () -> Void in
            self?.step { $0.time(now: $1) }
        }
    }

    /// On a thread of its own.
    private func look() {
        let outcome = source.withLock { source -> Result<[HostPort]?, ResolverError> in
            do throws(ResolverError) {
                return .success(try source.look())
            } catch {
                return .failure(error)
            }
        }
        let found = state.withLock { $0.found }
        switch outcome {
        case .success(let addresses?): found?(.success(addresses))
        case .success(nil): break
        case .failure(let error): found?(.failure(error))
        }
        step { schedule, now in
            var random = SystemRandomNumberGenerator()
            return schedule.ended(isFailure: outcome.isFailure, now: now, using: &random)
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool {
        if case .failure = self { true } else { false }
    }
}

extension NIOThreadPool {
    static func running(_ threads: Int) -> NIOThreadPool {
        let pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
        return pool
    }
}
