import NIOCore
import Synchronization

/// A connection as other threads may hold it: its loop, and its session for that loop alone.
final class ClientConnectionHandle: Sendable {
    let channel: any Channel
    let attempt: ConnectionAttempt
    private let loop: any EventLoop
    private let session: NIOLoopBound<ClientSession>
    private let full = Atomic(false)
    /// Calls under way, and on their way here.
    let outstanding = OutstandingCalls()
    private let succeeded = Atomic(0)

    init(_ channel: any Channel, _ session: ClientSession, _ attempt: ConnectionAttempt) {
        self.channel = channel
        self.attempt = attempt
        self.loop = channel.eventLoop
        self.session = NIOLoopBound(session, eventLoop: loop)
    }

    var peer: PeerID { attempt.peer }

    /// The server's slots were taken when a call last tried; `slotFreed` is owed. Set on the connection's loop only.
    var isFull: Bool {
        get { full.load(ordering: .acquiring) }
        set { full.store(newValue, ordering: .releasing) }
    }

    /// Calls that ended well. Set on the connection's loop only.
    var successes: Int {
        get { succeeded.load(ordering: .relaxed) }
        set { succeeded.store(newValue, ordering: .relaxed) }
    }

    var isHere: Bool { loop.inEventLoop }

    /// Chosen for a call: those who choose after this one are to know, though the loop does not yet. `start` follows, on
    /// the same thread.
    func promise() { if !isHere { outstanding.promise() } }

    /// Sends the call that was promised. The same as `run`, without a closure for each call.
    func start(_ call: PendingCall) {
        if isHere {
            session.value.start(call)
        } else {
            loop.execute { [self] in
                outstanding.arrive()
                session.value.start(call)
            }
        }
    }

    /// Runs `body` on the connection's loop: at once when that is here.
    func run(_ body: @escaping @Sendable (ClientSession) -> Void) {
        if isHere {
            body(session.value)
        } else {
            loop.execute { [session] in body(session.value) }
        }
    }
}
