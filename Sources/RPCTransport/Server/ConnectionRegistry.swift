import NIOCore
import RPCCore
import Synchronization

/// The connections of a server: counted when they come, told when it drains, awaited when it ends.
final class ConnectionRegistry: Sendable {
    struct Entry: Sendable {
        let channel: any Channel
        let session: NIOLoopBound<ServerSession>
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var grace: Duration?
    }

    private let limit: Int
    private let state = Mutex(State())
    private let empty = Latch()

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.entries.count } }
    var entries: [Entry] { state.withLock { Array($0.entries.values) } }

    /// Takes a connection in; false when there are too many, or none are wanted any more.
    func add(_ channel: any Channel, _ session: ServerSession) -> Bool {
        let entry = Entry(channel: channel, session: NIOLoopBound(session, eventLoop: channel.eventLoop))
        let id = ObjectIdentifier(channel)
        let isWelcome = state.withLock { state in
            guard state.entries.count < limit, state.grace == nil else { return false }
            state.entries[id] = entry
            return true
        }
        if isWelcome { channel.closeFuture.whenComplete { [self] _ in remove(id) } }
        return isWelcome
    }

    /// Drains every connection; those still in their handshake are closed.
    func drain(grace: Duration) {
        let entries = state.withLock { state in
            state.grace = grace
            return Array(state.entries.values)
        }
        if entries.isEmpty { empty.open() }
        for entry in entries {
            entry.channel.eventLoop.execute { entry.session.value.drain(grace: grace) }
        }
    }

    /// Calls `body` for every connection, each on its loop.
    func forEach(_ body: @escaping @Sendable (ServerSession) -> Void) {
        for entry in state.withLock({ Array($0.entries.values) }) {
            entry.channel.eventLoop.execute { body(entry.session.value) }
        }
    }

    /// Closes what is left.
    func cut() {
        for entry in state.withLock({ Array($0.entries.values) }) { entry.channel.close(promise: nil) }
    }

    /// After `drain`: returns when the last connection is closed.
    func waitUntilEmpty() async { await empty.wait() }

    private func remove(_ id: ObjectIdentifier) {
        let isLast = state.withLock { state in
            state.entries[id] = nil
            return state.entries.isEmpty && state.grace != nil
        }
        if isLast { empty.open() }
    }
}
