/// The power of two choices: of two taken at random, the less busy one. Nearly as even as looking at all of them, and
/// clients that decide alike do not run together to the one that was idle a moment ago.
package enum TwoChoices {
    /// The index that was chosen of `0 ..< count`; nil when none can be used.
    ///
    /// - Parameter load: How busy one is; nil when it cannot be used.
    package static func pick(
        _ count: Int, using random: inout some RandomNumberGenerator, load: (Int) -> Int?
    ) -> Int? {
        guard count > 1 else { return count == 1 && load(0) != nil ? 0 : nil }
        let first = Int.random(in: 0..<count, using: &random)
        var second = Int.random(in: 0..<(count - 1), using: &random)
        if second >= first { second += 1 }
        switch (load(first), load(second)) {
        case (let a?, let b?): return a <= b ? first : second
        case (_?, nil): return first
        case (nil, _?): return second
        case (nil, nil): return least(count, load)
        }
    }

    /// Both were out of use: whichever is not, the least busy.
    private static func least(_ count: Int, _ load: (Int) -> Int?) -> Int? {
        var best: (index: Int, load: Int)?
        for index in 0..<count {
            guard let load = load(index) else { continue }
            if let found = best, found.load <= load { continue }
            best = (index, load)
        }
        return best?.index
    }
}

/// Chance that costs nothing: a peer is chosen for every call, and the system's generator is a system call (SplitMix64).
struct QuickRandom: RandomNumberGenerator {
    private var state = UInt64.random(in: .min ... .max)

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
