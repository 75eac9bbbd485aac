/// One service's contract, as a number: tells a peer which version of it this side was built from.
///
/// It informs (logs, metrics, `lockstep describe`); a difference refuses nothing (W-15).
package struct ServiceFingerprint: Hashable, Sendable {
    /// Full protobuf name, ASCII letters, digits, `_` and `.`: at most 128 bytes.
    package let service: String
    package let fingerprint: UInt64

    package init(service: String, fingerprint: UInt64) {
        self.service = service
        self.fingerprint = fingerprint
    }
}
