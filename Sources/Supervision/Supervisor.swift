/// How a process ended.
package enum Termination: Sendable, Hashable, CustomStringConvertible {
    case exited(Int32)
    case signaled(Int32)
    /// It could not be started at all.
    case failedToStart

    package var description: String {
        switch self {
        case .exited(let status): "exited with status \(status)"
        case .signaled(let signal): "was ended by signal \(signal)"
        case .failedToStart: "could not be started"
        }
    }
}

/// The state of a set of processes that are kept running: a value. Events and time go in, actions come out.
///
/// Time is since any fixed instant. Processes are started in their order and stopped in the opposite one, each when the
/// one before it has ended, so that nothing loses what it depends on while it drains.
package struct Supervisor: Sendable {
    package enum Action: Sendable, Hashable {
        case start(String)
        /// Ask it to end.
        case terminate(String)
        /// End it.
        case kill(String)
        /// Tell the user.
        case report(Report)
    }

    package enum Report: Sendable, Hashable {
        /// It ended and will be started again after a pause.
        case restarting(String, Termination, after: Duration)
        /// It says that another start cannot work.
        case gaveUp(String, Termination)
        case stopped(String, Termination)
        /// It had to be killed.
        case overran(String)
    }

    private enum Phase: Hashable {
        case running(since: Duration)
        case waiting(until: Duration)
        /// Asked to end.
        case stopping(until: Duration, killed: Bool)
        case ended
    }

    private struct Child {
        let name: String
        var phase: Phase
        var failures = 0
    }

    /// `EX_CONFIG`: the status by which a process says that it cannot start as things are.
    package static let configurationStatus: Int32 = 78

    private var children: [Child]
    private let backoff: RestartBackoff
    private let stopGrace: Duration
    private var isStopping = false
    /// With which status the supervisor itself is to end.
    package private(set) var exitStatus: Int32 = 0

    /// - Parameter stopGrace: How long each may take to end when it is asked to.
    package init(
        _ names: [String], backoff: RestartBackoff = RestartBackoff(), stopGrace: Duration
    ) {
        self.children = names.map { Child(name: $0, phase: .ended) }
        self.backoff = backoff
        self.stopGrace = stopGrace
    }

    /// Whether all is over.
    package var isFinished: Bool { isStopping && children.allSatisfy { $0.phase == .ended } }

    /// When `tick` is to be called at the latest; nil for no time.
    package var nextWake: Duration? {
        children.compactMap { child in
            switch child.phase {
            case .waiting(let until), .stopping(let until, killed: false): until
            case .running, .stopping(_, killed: true), .ended: nil
            }
        }.min()
    }

    // MARK: Events

    /// Starts all.
    package mutating func begin(now: Duration) -> [Action] {
        children.indices.map { start($0, now: now) }
    }

    /// A process has ended.
    package mutating func ended(_ name: String, _ termination: Termination, now: Duration) -> [Action] {
        guard let index = children.firstIndex(where: { $0.name == name }) else { return [] }
        switch children[index].phase {
        case .running(let since): return failed(index, termination, after: now - since, now: now)
        case .stopping:
            children[index].phase = .ended
            return [.report(.stopped(name, termination))] + stopNext(now: now)
        case .waiting, .ended: return []
        }
    }

    /// Time has passed.
    package mutating func tick(now: Duration) -> [Action] {
        children.indices.compactMap { index in
            switch children[index].phase {
            case .waiting(let until) where until <= now: return [start(index, now: now)]
            case .stopping(let until, killed: false) where until <= now: return kill(index)
            default: return nil
            }
        }.flatMap { $0 }
    }

    /// All are to end. A second time: at once.
    package mutating func stop(now: Duration) -> [Action] {
        guard !isStopping else { return killAll() }
        isStopping = true
        for index in children.indices {
            if case .waiting = children[index].phase { children[index].phase = .ended }
        }
        return stopNext(now: now)
    }

    // MARK: Steps

    private mutating func start(_ index: Int, now: Duration) -> Action {
        children[index].phase = .running(since: now)
        return .start(children[index].name)
    }

    private mutating func failed(
        _ index: Int, _ termination: Termination, after ran: Duration, now: Duration
    ) -> [Action] {
        let name = children[index].name
        // While others stop, one that ends by itself has only been early.
        guard !isStopping else {
            children[index].phase = .ended
            return [.report(.stopped(name, termination))] + stopNext(now: now)
        }
        guard termination != .exited(Self.configurationStatus) else {
            children[index].phase = .ended
            exitStatus = Self.configurationStatus
            return [.report(.gaveUp(name, termination))] + stop(now: now)
        }
        if ran >= backoff.healthyAfter { children[index].failures = 0 }
        children[index].failures += 1
        let delay = backoff.delay(afterFailures: children[index].failures)
        children[index].phase = .waiting(until: now + delay)
        return [.report(.restarting(name, termination, after: delay))]
    }

    /// Asks the last that still runs to end, unless one is being asked already.
    private mutating func stopNext(now: Duration) -> [Action] {
        let isBusy = children.contains { child in
            if case .stopping = child.phase { true } else { false }
        }
        guard !isBusy, let index = children.lastIndex(where: { $0.phase != .ended }) else { return [] }
        children[index].phase = .stopping(until: now + stopGrace, killed: false)
        return [.terminate(children[index].name)]
    }

    private mutating func kill(_ index: Int) -> [Action] {
        guard case .stopping(let until, killed: false) = children[index].phase else { return [] }
        children[index].phase = .stopping(until: until, killed: true)
        exitStatus = max(exitStatus, 1)
        return [.report(.overran(children[index].name)), .kill(children[index].name)]
    }

    private mutating func killAll() -> [Action] {
        exitStatus = max(exitStatus, 1)
        return children.indices.reversed().compactMap { index in
            guard children[index].phase != .ended else { return nil }
            children[index].phase = .stopping(until: .zero, killed: true)
            return .kill(children[index].name)
        }
    }
}
