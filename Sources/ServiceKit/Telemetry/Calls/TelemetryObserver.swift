import RPCCore

/// Measures the calls that a server answers, and ends their parts of traces. An object, since each call of each loop comes by: of a
/// value its parts would be counted one by one.
final class TelemetryObserver: ServerObserver {
    let instruments: ServerInstruments
    let tracing: (any CallTracing)?

    init(instruments: ServerInstruments, tracing: (any CallTracing)?) { (self.instruments, self.tracing) = (instruments, tracing) }

    func callEnded(_ record: CallRecord) {
        instruments.ended(record)
        record.context.span?.end(record.code)
    }

    func callRefused(_ refusal: CallRefusal) { instruments.refused(refusal) }
}

/// The log of calls and their measures as one. Neither looks at calls that begin.
final class CallObservers: ServerObserver {
    private let log: CallLog
    private let telemetry: TelemetryObserver

    init(_ log: CallLog, _ telemetry: TelemetryObserver) { (self.log, self.telemetry) = (log, telemetry) }

    var tracing: (any CallTracing)? { telemetry.tracing }

    func callEnded(_ record: CallRecord) {
        log.callEnded(record)
        telemetry.callEnded(record)
    }

    func callRefused(_ refusal: CallRefusal) {
        log.callRefused(refusal)
        telemetry.callRefused(refusal)
    }

    func connectionOpened(peer: PeerIdentity) { log.connectionOpened(peer: peer) }
    func connectionClosed(peer: PeerIdentity?, reason: String) { log.connectionClosed(peer: peer, reason: reason) }
}
