import Foundation

/// A generator whose run can be repeated: its seed is printed, and `WIRE_SEED` sets it.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ test: String) {
        let chosen = ProcessInfo.processInfo.environment["WIRE_SEED"].flatMap(UInt64.init)
        let seed = chosen ?? UInt64.random(in: 1...UInt64.max)
        print("\(test): WIRE_SEED=\(seed)")
        state = seed
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
