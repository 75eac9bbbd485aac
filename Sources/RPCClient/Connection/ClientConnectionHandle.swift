import NIOCore
import Synchronization

/// A connection as other threads may hold it: its loop, and its session for that loop alone.
final class ClientConnectionHandle: Sendable {
    let channel: any Channel
    let attempt: ConnectionPlan.Attempt
    private let session: NIOLoopBound<ClientSession>
    private let full = Atomic(false)

    init(_ channel: any Channel, _ session: ClientSession, _ attempt: ConnectionPlan.Attempt) {
        self.channel = channel
        self.attempt = attempt
        self.session = NIOLoopBound(session, eventLoop: channel.eventLoop)
    }

    /// The server's slots were taken when a call last tried; `slotFreed` is owed. Set on the connection's loop only.
    var isFull: Bool {
        get { full.load(ordering: .acquiring) }
        set { full.store(newValue, ordering: .releasing) }
    }

    var isHere: Bool { channel.eventLoop.inEventLoop }

    /// Runs `body` on the connection's loop: at once when that is here.
    func run(_ body: @escaping @Sendable (ClientSession) -> Void) {
        if isHere {
            body(session.value)
        } else {
            channel.eventLoop.execute { [session] in body(session.value) }
        }
    }
}
