import Foundation

/// A generator whose run can be repeated (SplitMix64).
package struct SeededRandom: RandomNumberGenerator {
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64 = .random(in: .min ... .max)) {
        self.seed = seed
        state = seed
    }

    /// Prints its seed beside the test's name; `LOCKSTEP_TEST_SEED` sets it.
    package init(_ test: String) {
        let chosen = ProcessInfo.processInfo.environment["LOCKSTEP_TEST_SEED"].flatMap(UInt64.init)
        self.init(seed: chosen ?? .random(in: .min ... .max))
        print("\(test): LOCKSTEP_TEST_SEED=\(seed)")
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
