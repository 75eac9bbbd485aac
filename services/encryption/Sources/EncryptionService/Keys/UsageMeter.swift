import Synchronization

/// Counts what one AES-GCM key has sealed and holds it under what the keyring's store has reserved for it.
///
/// With random nonces a key may seal 2^32 messages at most (NIST SP 800-38D section 8.3), over all its life. So that a
/// crash forgets nothing, the keyring thread writes a reserve before it is used; after a restart the whole reserve
/// counts as used.
package final class UsageMeter: Sendable {
    /// What this process may seal before it asks again; never below zero.
    private let left = Atomic<Int64>(0)
    /// What all processes together have reserved, as far as this one knows.
    private let reserved: Atomic<UInt64>
    /// How much of the reserve is left when more should be asked for.
    private let low = Atomic<Int64>(0)
    /// Whether this process was ever given messages of its own.
    private let isBegun = Atomic(false)

    package init(used: UInt64) {
        self.reserved = Atomic(used)
    }

    /// How many messages count as sealed: all that were, what crashes used up, and what other processes may seal.
    package var count: UInt64 {
        // In this order: a reserve that comes meanwhile makes the answer too high, and never too low.
        let left = max(0, left.load(ordering: .acquiring))
        let reserved = reserved.load(ordering: .relaxed)
        return reserved - min(reserved, UInt64(left))
    }

    /// Whether more should be reserved.
    var isLow: Bool { left.load(ordering: .acquiring) <= low.load(ordering: .relaxed) }

    /// Whether this process never had messages of its own.
    var isFresh: Bool { !isBegun.load(ordering: .relaxed) }

    /// Counts up to `count` messages, as many as the reserve has; one at a time where it is low, so that what one call keeps for the
    /// messages that it has yet to seal is not what others are refused.
    ///
    /// - Returns: How many may be sealed, and whether the keyring thread should reserve more now.
    func claim(_ count: Int) -> (granted: Int, isLow: Bool) {
        let low = low.load(ordering: .relaxed)
        var rest = left.load(ordering: .relaxed)
        while rest > 0 {
            let granted = min(rest > low ? Int64(count) : 1, rest)
            let (isDone, original) = left.weakCompareExchange(
                expected: rest, desired: rest - granted, successOrdering: .acquiring, failureOrdering: .relaxed)
            if isDone { return (Int(granted), rest - granted <= low) }
            rest = original
        }
        return (0, true)
    }

    /// Of what was claimed, these messages were not sealed.
    func giveBack(_ count: Int) { left.add(Int64(count), ordering: .relaxed) }

    /// Lets the count go up to `count`, all of which is this process's own; called once that is durable.
    ///
    /// - Parameter low: How much of it is left when more should be asked for.
    package func allow(upTo count: UInt64, low: UInt64) {
        allow(from: reserved.load(ordering: .relaxed), upTo: count, low: low)
    }

    /// Lets this process seal the messages of a block that is its own alone; called once that is durable, on one thread.
    package func allow(from start: UInt64, upTo end: UInt64, low: UInt64) {
        self.low.store(Int64(clamping: low), ordering: .relaxed)
        note(reserved: end)
        if end > start { isBegun.store(true, ordering: .relaxed) }
        left.add(Int64(clamping: end - min(start, end)), ordering: .releasing)
    }

    /// Others have reserved up to here.
    func note(reserved count: UInt64) {
        if count > reserved.load(ordering: .relaxed) { reserved.store(count, ordering: .relaxed) }
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

    /// How many messages are reserved at once for a key: of a limit of its own a small part, since each start uses one up.
    func step(_ settings: KeySettings) -> UInt64 {
        min(block, settings.rotateAfterUses == 0 ? block : max(1, settings.rotateAfterUses / 16), maximum)
    }

    /// From which reserve on a key is rotated.
    func rotateAt(_ settings: KeySettings) -> UInt64 {
        settings.rotateAfterUses == 0 ? rotateAt : min(rotateAt, settings.rotateAfterUses)
    }
}
