/// Message bytes that may still be sent, on a call or on the connection.
///
/// Checked arithmetic for the one number: it never goes below zero nor above 2^31 - 1.
struct SendWindow: Equatable, Sendable {
    private(set) var available: UInt32

    init(_ initial: UInt32) {
        available = initial
    }

    /// Takes in a CREDIT.
    mutating func grant(_ bytes: UInt32) throws(WireViolation) {
        let (sum, overflow) = available.addingReportingOverflow(bytes)
        guard !overflow, sum <= WireLimits.creditBounds.upperBound else {
            throw .connection(.flowControl, 51, "credit grows beyond \(WireLimits.creditBounds.upperBound)")
        }
        available = sum
    }

    /// Pays for `bytes` that this side sends; the caller has looked at `available`.
    mutating func spend(_ bytes: UInt32) {
        available -= min(bytes, available)
    }
}

/// Message bytes that the peer may still send, and when to let it send more.
struct ReceiveWindow: Equatable, Sendable {
    let size: UInt32
    private(set) var available: UInt32

    init(_ size: UInt32) {
        self.size = size
        available = size
    }

    /// Books `bytes` that came in.
    mutating func receive(_ bytes: Int) throws(WireViolation) {
        guard bytes <= available else {
            throw .connection(.flowControl, 50, "\(bytes) message bytes, the credit is \(available)")
        }
        available -= UInt32(bytes)
    }

    /// The CREDIT to send now: what fills the window up again once half is spent, else nil (W-54).
    mutating func replenish() -> UInt32? {
        let spent = size - available
        guard spent >= size / 2 else { return nil }
        available = size
        return spent
    }

    /// The same for a stream, of which the application has not taken `held` bytes yet.
    mutating func replenish(keeping held: UInt32) -> UInt32? {
        let used = UInt64(available) + UInt64(held)
        guard used < size else { return nil }
        let free = size - UInt32(used)
        guard free >= size / 2 else { return nil }
        available += free
        return free
    }

    /// The CREDIT that makes `bytes` available, more than the window though they be. It is never a small one: those
    /// the sender counts (W-123).
    mutating func extend(to bytes: UInt32) -> UInt32? {
        guard bytes > available else { return nil }
        let credit = max(bytes - available, WireLimits.smallCredit)
        available += credit
        return credit
    }
}
