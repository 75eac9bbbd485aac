/// How much may still be tried again, for one service: a bucket of tokens, as gRPC's throttling has it (proposal A6).
///
/// A failure takes one token, a success gives `ratio` of one back, and nothing is tried again while half of the bucket
/// is gone. So a service that fails now and then is asked again, and one that fails always hears each call once.
package struct RetryBudget: Sendable, Hashable {
    package let capacity: Double
    /// What a success gives back.
    package let ratio: Double
    package private(set) var tokens: Double

    package init(capacity: Double, ratio: Double) {
        self.capacity = max(capacity, 0)
        self.ratio = max(ratio, 0)
        tokens = self.capacity
    }

    package var allows: Bool { tokens > capacity / 2 }
    package var isFull: Bool { tokens >= capacity }

    package mutating func succeeded() { tokens = min(capacity, tokens + ratio) }
    package mutating func failed() { tokens = max(0, tokens - 1) }

    /// Takes a token for an attempt that nothing has failed for; false when there is none to spare.
    package mutating func spend() -> Bool {
        guard allows else { return false }
        failed()
        return true
    }
}
