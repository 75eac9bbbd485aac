import NIOCore
package import RPCCore
package import WireCore

extension Metadata {
    /// Keys that begin so are the runtime's; from a caller they are dropped, so nobody can pose as it.
    package static let reservedPrefix = "lockstep-"

    /// A caller's own pairs.
    package init(_ wire: WireMetadata) {
        self.init()
        guard !wire.isEmpty else { return }
        wire.forEachText { key, value in
            if !key.hasPrefix(Self.reservedPrefix) { append(key, Array(value.readableBytesView)) }
        }
    }
}

extension WireMetadata {
    /// What a caller sends along.
    package init(_ options: CallOptions, requestID: String, attempt: Int) {
        self.init()
        set(.requestID, requestID)
        if let token = options.userToken { set(.userIdentity, token) }
        if !options.origin.address.isEmpty { set(.clientAddress, options.origin.address.cut) }
        if !options.origin.userAgent.isEmpty { set(.userAgent, options.origin.userAgent.cut) }
        if attempt > 1 { setAttempt(UInt32(clamping: attempt)) }
        for pair in options.metadata.pairs where !pair.key.hasPrefix(Metadata.reservedPrefix) {
            append(pair.key, pair.value)
        }
    }
}

extension ClientOrigin {
    /// Believed from every service that the authority knows: each forwards what the gateway told it.
    package init(_ wire: WireMetadata) {
        self.init(address: wire.text(.clientAddress) ?? "", userAgent: wire.text(.userAgent) ?? "")
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
