/// The attempts of one hedged call: the first success is the call's, and cancels the others. Decisions as a value; the
/// driver starts, cancels and times what it says.
///
/// | event | while another attempt runs | when none does |
/// |---|---|---|
/// | begun | – | start the first, arm |
/// | time | start the next (with a token), arm while one is left | – |
/// | success | finish with it, cancel the others | finish with it |
/// | failure that may pass | wait for the others | start the next (with a token), else finish with it |
/// | the same, and the server has said when to come back | wait for the others | finish with it |
/// | failure that will not | finish with it, cancel the others | finish with it |
/// | cancelled | cancel all | – |
package struct HedgeMachine: Sendable {
    package enum Action: Sendable, Hashable {
        /// Sends the attempt of that index, counted from 0.
        case start(Int)
        /// Tells when `delay` has passed.
        case arm
        /// The call ends as this attempt did.
        case finish(Int)
        case cancel(Int)
    }

    private enum Leg { case running, over }

    private let most: Int
    private var legs: [Leg] = []
    /// Nothing follows.
    package private(set) var isFinished = false

    /// - Parameter attempts: At most, the first included.
    package init(attempts: Int) { most = max(attempts, 1) }

    package mutating func begin() -> [Action] {
        guard legs.isEmpty, !isFinished else { return [] }
        return start()
    }

    /// The delay has passed.
    ///
    /// - Parameter spend: Takes a token; asked only when an attempt would be sent.
    package mutating func timeIsUp(_ spend: () -> Bool) -> [Action] {
        guard !isFinished, !legs.isEmpty, legs.count < most, spend() else { return [] }
        return start()
    }

    package mutating func succeeded(_ leg: Int) -> [Action] { finish(leg) }

    /// - Parameters:
    ///   - mayPass: Another attempt could end otherwise.
    ///   - mayFollow: And one may begin now.
    package mutating func failed(
        _ leg: Int, mayPass: Bool, mayFollow: Bool = true, _ spend: () -> Bool
    ) -> [Action] {
        guard !isFinished, legs.indices.contains(leg), legs[leg] == .running else { return [] }
        guard mayPass else { return finish(leg) }
        legs[leg] = .over
        guard !legs.contains(.running) else { return [] }
        if mayFollow, legs.count < most, spend() { return start() }
        isFinished = true
        return [.finish(leg)]
    }

    package mutating func cancelled() -> [Action] {
        guard !isFinished else { return [] }
        isFinished = true
        return running.map { .cancel($0) }
    }

    private var running: [Int] { legs.indices.filter { legs[$0] == .running } }

    private mutating func start() -> [Action] {
        legs.append(.running)
        return [.start(legs.count - 1)] + (legs.count < most ? [.arm] : [])
    }

    private mutating func finish(_ leg: Int) -> [Action] {
        guard !isFinished, legs.indices.contains(leg), legs[leg] == .running else { return [] }
        isFinished = true
        return [.finish(leg)] + running.filter { $0 != leg }.map { .cancel($0) }
    }
}
