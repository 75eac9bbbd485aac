import RPCCore

/// Measures the calls that a server answers, and ends their parts of traces.
struct TelemetryObserver: ServerObserver {
    let instruments: ServerInstruments
    let tracing: (any CallTracing)?

    func callEnded(_ record: CallRecord) {
        instruments.ended(record)
        record.context.span?.end(record.code)
    }

    func callRefused(_ refusal: CallRefusal) { instruments.refused(refusal) }
}

/// Several observers as one.
struct ServerObservers: ServerObserver {
    let observers: [any ServerObserver]

    var tracing: (any CallTracing)? { observers.lazy.compactMap(\.tracing).first }

    func callStarted(_ context: CallContext) {
        for observer in observers { observer.callStarted(context) }
    }

    func callEnded(_ record: CallRecord) {
        for observer in observers { observer.callEnded(record) }
    }

    func callRefused(_ refusal: CallRefusal) {
        for observer in observers { observer.callRefused(refusal) }
    }

    func connectionOpened(peer: PeerIdentity) {
        for observer in observers { observer.connectionOpened(peer: peer) }
    }

    func connectionClosed(peer: PeerIdentity?, reason: String) {
        for observer in observers { observer.connectionClosed(peer: peer, reason: reason) }
    }
}
