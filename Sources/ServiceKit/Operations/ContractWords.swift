import RPCCore

// The contract's own words for what descriptors hold.

extension Cost? {
    var words: (cost: String, inlineLimit: UInt32) {
        switch self {
        case .inline(let limit): ("INLINE", UInt32(clamping: limit))
        case .pool: ("POOL", 0)
        case nil: ("", 0)
        }
    }
}

extension Exposure {
    var words: (exposure: String, roles: [String]) {
        switch self {
        case .internal: ("INTERNAL", [])
        case .public: ("PUBLIC", [])
        case .user: ("USER", [])
        case .admin(let roles): ("ADMIN", roles)
        }
    }
}

extension Lane {
    var word: String { self == .emergency ? "EMERGENCY" : "ROUTINE" }
}

extension Idempotency {
    var word: String {
        switch self {
        case .unknown: "IDEMPOTENCY_UNKNOWN"
        case .noSideEffects: "NO_SIDE_EFFECTS"
        case .idempotent: "IDEMPOTENT"
        }
    }
}

extension Duration {
    var wholeMilliseconds: UInt32 {
        let (seconds, attoseconds) = components
        return UInt32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}

extension UInt64 {
    /// 16 digits.
    var hexDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
