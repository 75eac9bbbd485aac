import Synchronization

/// Counts what one AES-GCM key has sealed and holds it under what the keyring file has reserved for it.
///
/// With random nonces a key may seal 2^32 messages at most (NIST SP 800-38D section 8.3), over all its life. So that a
/// crash forgets nothing, the keyring thread writes a reserve before it is used; after a restart the whole reserve
/// counts as used.
package final class UsageMeter: Sendable {
    /// What came of asking for one more message.
    package enum Answer: Sendable, Hashable {
        case granted
        /// Granted, and the keyring thread should reserve more now.
        case grantedButLow
        case refused
    }

    private let used: Atomic<UInt64>
    private let allowed: Atomic<UInt64>
    /// How much of the reserve is left when more should be asked for.
    private let low = Atomic<UInt64>(0)

    package init(used: UInt64) {
        self.used = Atomic(used)
        self.allowed = Atomic(used)
    }

    /// How many messages count as sealed: all that were, and what crashes used up.
    package var count: UInt64 { used.load(ordering: .relaxed) }

    /// Whether more should be reserved.
    var isLow: Bool {
        let (allowed, count) = (allowed.load(ordering: .acquiring), count)
        return allowed <= count || allowed - count <= low.load(ordering: .relaxed)
    }

    /// Counts one message, unless the reserve is used up.
    package func spend() -> Answer {
        let (count, allowed) = (used.add(1, ordering: .relaxed).newValue, self.allowed.load(ordering: .acquiring))
        guard count <= allowed else {
            used.subtract(1, ordering: .relaxed)
            return .refused
        }
        return allowed - count <= low.load(ordering: .relaxed) ? .grantedButLow : .granted
    }

    /// Lets the count go up to `count`; called once that is durable.
    ///
    /// - Parameter low: How much of it is left when more should be asked for.
    package func allow(upTo count: UInt64, low: UInt64) {
        self.low.store(low, ordering: .relaxed)
        allowed.store(count, ordering: .releasing)
    }
}

/// How many messages a key seals before what happens.
package struct UsageLimits: Sendable, Hashable {
    /// Reserved at once, and lost by a crash.
    package var block: UInt64
    /// From this reserve on, the key is rotated by itself.
    package var rotateAt: UInt64
    /// Never more than this.
    package var maximum: UInt64

    package init(block: UInt64, rotateAt: UInt64, maximum: UInt64) {
        self.block = block
        self.rotateAt = rotateAt
        self.maximum = maximum
    }

    /// 2^32 is the standard's bound; half of it is time to rotate.
    package static let standard = UsageLimits(block: 1 << 18, rotateAt: 1 << 31, maximum: 1 << 32)

    /// How many messages are reserved at once for a key: no more than it may seal before it is rotated.
    func step(_ settings: KeySettings) -> UInt64 {
        min(block, settings.rotateAfterUses == 0 ? block : settings.rotateAfterUses, maximum)
    }

    /// From which reserve on a key is rotated.
    func rotateAt(_ settings: KeySettings) -> UInt64 {
        settings.rotateAfterUses == 0 ? rotateAt : min(rotateAt, settings.rotateAfterUses)
    }
}
