import NIOCore
package import RPCCore
package import WireCore

extension Metadata {
    /// Keys that begin so are the runtime's; from a caller they are dropped, so nobody can pose as it.
    package static let reservedPrefix = "lockstep-"
}

extension CallRequest {
    /// Takes one entry of the caller's metadata.
    mutating func take(_ key: WireMetadata.Key, _ value: UnsafeRawBufferPointer.SubSequence) {
        switch key {
        case .text(let name):
            let key = String(decoding: name, as: UTF8.self)
            if !key.hasPrefix(Metadata.reservedPrefix) { metadata.append(key, Array(value)) }
        case .wellKnown(.requestID): requestID = RequestID(utf8: UnsafeRawBufferPointer(rebasing: value))
        case .wellKnown(.userIdentity): userToken = String(decoding: value, as: UTF8.self)
        case .wellKnown(.attempt): attempt = value.reduce(0) { $0 << 8 | Int($1) }
        case .wellKnown(.clientAddress): if seesClients { origin.address = String(decoding: value, as: UTF8.self) }
        case .wellKnown(.userAgent): if seesClients { origin.userAgent = String(decoding: value, as: UTF8.self) }
        case .wellKnown(.traceparent): trace = TraceContext(parent: value)
        case .wellKnown(.tracestate): trace = trace?.with(state: String(decoding: value, as: UTF8.self))
        }
    }

    /// Only the gateway sees outside clients; from anybody else it would be a claim.
    private var seesClients: Bool { peer.service == "gateway" }
}

extension WireMetadata {
    /// What a caller sends along.
    ///
    /// Fills what was there before anew, so that a connection needs no more memory for each call.
    package mutating func fill(_ options: CallOptions, requestID: RequestID, attempt: Int) {
        clear()
        add(.requestID, size: requestID.size) { requestID.write(to: $0) }
        if attempt > 1 { setAttempt(UInt32(clamping: attempt)) }
        if options.isStandard { return }
        if let token = options.userToken { add(.userIdentity, token) }
        if !options.origin.address.isEmpty { add(.clientAddress, options.origin.address.cut) }
        if !options.origin.userAgent.isEmpty { add(.userAgent, options.origin.userAgent.cut) }
        if let trace = options.trace { add(trace) }
        for pair in options.metadata.pairs where !pair.key.hasPrefix(Metadata.reservedPrefix) {
            append(pair.key, pair.value)
        }
    }
}

extension WireMetadata {
    private mutating func add(_ trace: TraceContext) {
        add(.traceparent, trace.parent)
        if let state = trace.state { add(.tracestate, state) }
    }
}

extension String {
    /// The longest well-known value but the identity, bytes (W-65).
    private static let longestValue = 512

    /// The beginning that fits into metadata, whole characters only.
    fileprivate var cut: String {
        var text = self
        while text.utf8.count > Self.longestValue { text.removeLast() }
        return text
    }
}
