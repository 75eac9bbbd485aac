import NIOCore
import Synchronization

/// What a raw connection has received and nobody has looked at yet, for one reader.
final class RawInbox: Sendable {
    enum Item: Sendable {
        case frame(RawFrame)
        /// The transport is at its end; why, when it was not a clean one.
        case end(String?)
    }

    private struct State {
        var items = CircularBuffer<Item>()
        var hasEnded = false
        var reader: (number: Int, continuation: CheckedContinuation<Item?, Never>)?
        var readers = 0

        mutating func take() -> Item? {
            guard let first = items.first else { return hasEnded ? .end(nil) : nil }
            if case .frame = first { items.removeFirst() }
            return first
        }
    }

    private let state = Mutex(State())

    func put(_ item: Item) {
        let reader = state.withLock { state -> CheckedContinuation<Item?, Never>? in
            guard !state.hasEnded else { return nil }
            if case .end = item { state.hasEnded = true }
            guard let reader = state.reader else {
                state.items.append(item)
                return nil
            }
            state.reader = nil
            return reader.continuation
        }
        reader?.resume(returning: item)
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// The next item; nil when none comes in time. The end comes again and again.
    func next(until deadline: ContinuousClock.Instant) async -> Item? {
        if let item = state.withLock({ $0.take() }) { return item }
        let number = state.withLock { state in
            state.readers += 1
            return state.readers
        }
        let timer = Task { [self] in
            try? await Task.sleep(until: deadline)
            giveUp(number)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let item = state.withLock { state -> Item?? in
                if let item = state.take() { return .some(item) }
                if deadline <= .now { return .some(nil) }
                state.reader = (number, continuation)
                return nil
            }
            if let item { continuation.resume(returning: item) }
        }
    }

    private func giveUp(_ number: Int) {
        let reader = state.withLock { state -> CheckedContinuation<Item?, Never>? in
            guard let reader = state.reader, reader.number == number else { return nil }
            state.reader = nil
            return reader.continuation
        }
        reader?.resume(returning: nil)
    }
}
