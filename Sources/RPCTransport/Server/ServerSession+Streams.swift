import NIOCore
import RPCCore
import WireCore

// A streaming call's two directions, between the machine and the handler. Handlers run on the connection's loop, so
// that messages change hands without a hop; what a child task does elsewhere finds its way here.
extension ServerSession {
    func streams(_ id: CallID, _ open: OpenCall, _ request: [UInt8], on loop: any EventLoop) -> StreamParts {
        let session = NIOLoopBound(self, eventLoop: loop)
        let requests = InboundMessages {
            loop.runHere { session.value.take(id) }
        }
        let responses = OutboundMessages { message, done in
            loop.runHere { session.value.send(id, message, done) }
        }
        let kind = open.call.context.method.kind
        if kind.clientStreams { calls[id]?.requests = requests } else { requests.finish() }
        return StreamParts(request: request, requests: requests, responses: responses)
    }

    /// Gives the client credit for a message that its handler has taken.
    private func take(_ id: CallID) {
        machine?.take(id)
        driver.pumpSoon()
    }

    /// Sends a message of a server's stream; `done` hears when there is room for the next.
    private func send(_ id: CallID, _ message: [UInt8], _ done: @escaping WriteDone) {
        guard let open = calls[id] else { return done(.streamEnded) }
        let method = open.call.context.method
        switch machine?.send(id, message: ByteBuffer(bytes: message)) {
        case .taken: done(nil)
        case .full: calls[id]?.writers.append(done)
        case .tooLarge(let limit):
            done(
                RPCError(
                    .resourceExhausted,
                    "A message of \(method.fullName) has \(message.count) bytes; the client takes \(limit).",
                    reason: "response_too_large"))
        case .ended, nil: done(open.stop?.error(method, processed: .maybe) ?? .streamEnded)
        }
        driver.pumpSoon()
    }

    func resumeWriters(_ id: CallID) {
        guard let writers = calls[id]?.writers, !writers.isEmpty else { return }
        calls[id]?.writers = []
        for writer in writers { writer(nil) }
    }
}

extension EventLoop {
    /// Runs the body on the loop: at once when that is here.
    package func runHere(_ body: @escaping @Sendable () -> Void) {
        if inEventLoop { body() } else { execute(body) }
    }
}
