import Dispatch
import NIOCore
import RPCCore
import Synchronization
import WireCore

/// What a server is doing at this moment, for its operator. A server that nobody asks pays nothing for it.
///
/// Made before the server and given to it in its options, so that a handler of the same server can hold it.
package final class ServerInspector: Sendable {
    private struct Reference {
        weak var core: ServerCore?
    }

    private let reference = Mutex(Reference())

    package init() {}

    func attach(_ core: ServerCore) { reference.withLock { $0.core = core } }

    private var core: ServerCore? { reference.withLock { $0.core } }

    /// Counts and limits; nil before the server is made and after it is gone. Never waits.
    package var summary: ServerSummary? { core.map(ServerSummary.init) }

    /// Asks every event loop what it has, in order of number, and waits for the answers. A loop that is held by a
    /// handler does not answer in time, and its report says so.
    ///
    /// Blocks its thread, so it must not be called on an event loop: there it answers that none does.
    ///
    /// - Parameter limit: How long to wait, over all loops.
    package func loops(within limit: Duration = ServerInspector.patience) -> [LoopReport] {
        guard let core else { return [] }
        let asked = MonotonicInstant.now
        let inquiry = Inquiry(core.connections.byLoop(Array(core.options.group.makeIterator())))
        inquiry.start(asked: asked)
        return inquiry.answers(within: limit, asked: asked)
    }

    /// How long the event loops have to answer.
    package static let patience = Duration.milliseconds(250)
}

/// One question to all event loops.
private final class Inquiry: Sendable {
    private let places: [ConnectionRegistry.Place]
    private let reports: Mutex<[Int: LoopReport]> = Mutex([:])
    private let answered = DispatchSemaphore(value: 0)

    init(_ places: [ConnectionRegistry.Place]) { self.places = places }

    func start(asked: MonotonicInstant) {
        for (number, place) in places.enumerated() where !place.loop.inEventLoop {
            place.loop.execute { [self] in
                let now = MonotonicInstant.now
                let report = LoopReport(
                    number: number, answers: true, delay: asked.duration(to: now),
                    connections: place.entries.map { $0.report(on: number, now: now) },
                    connectionCount: place.entries.count)
                reports.withLock { $0[number] = report }
                answered.signal()
            }
        }
    }

    func answers(within limit: Duration, asked: MonotonicInstant) -> [LoopReport] {
        let end = DispatchTime.now() + .nanoseconds(Int(clamping: WireDuration(limit).nanoseconds))
        for place in places where !place.loop.inEventLoop {
            guard answered.wait(timeout: end) == .success else { break }
        }
        let known = reports.withLock { $0 }
        return places.enumerated().map { number, place in
            known[number] ?? LoopReport(
                number: number, answers: false, delay: asked.duration(to: .now), connections: [],
                connectionCount: place.entries.count)
        }
    }
}
