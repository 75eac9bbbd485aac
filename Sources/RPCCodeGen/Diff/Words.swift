import SwiftProtobuf

/// Values of enumerations as the contract's text has them.
extension SwiftProtobuf.Enum where RawValue == Int {
    /// `IDEMPOTENT`; the number of one that this build does not know.
    func word(_ names: [Self: String]) -> String { names[self] ?? "\(rawValue)" }
}

extension ContractExecution {
    var word: String { word([.unspecified: "unspecified", .sync: "SYNC", .async: "ASYNC"]) }
}

extension ContractExposure {
    var word: String {
        word([.unspecified: "unspecified", .internal: "INTERNAL", .admin: "ADMIN", .user: "USER", .public: "PUBLIC"])
    }

    /// How many may come: more is wider.
    var reach: Int {
        switch self {
        case .unspecified, .internal, .UNRECOGNIZED: 0
        case .admin: 1
        case .user: 2
        case .public: 3
        }
    }
}

extension ContractCost {
    var word: String { word([.unspecified: "unspecified", .inline: "INLINE", .pool: "POOL"]) }
}

extension ContractPriority {
    var word: String { self == .emergency ? "EMERGENCY" : "ROUTINE" }
}

extension ContractOnCancel {
    var word: String { self == .detach ? "DETACH" : "CANCEL" }
}

extension ContractRate.Key {
    var word: String { word([.unspecified: "unspecified", .address: "ADDRESS", .user: "USER"]) }
}

extension ContractFormat {
    var word: String { word([.unspecified: "none", .email: "EMAIL", .identifier: "IDENTIFIER"]) }
}

extension ContractDataClass {
    var word: String { word([.unspecified: "OPEN", .open: "OPEN", .pii: "PII", .phi: "PHI", .secret: "SECRET"]) }

    /// How carefully it is kept: more is stronger.
    var strength: Int {
        switch self {
        case .unspecified, .open, .UNRECOGNIZED: 0
        case .pii: 1
        case .phi: 2
        case .secret: 3
        }
    }
}

extension Google_Protobuf_MethodOptions.IdempotencyLevel {
    var word: String {
        switch self {
        case .idempotencyUnknown: "IDEMPOTENCY_UNKNOWN"
        case .idempotent: "IDEMPOTENT"
        case .noSideEffects: "NO_SIDE_EFFECTS"
        }
    }

    /// How freely a caller may repeat: more is freer.
    var freedom: Int {
        switch self {
        case .idempotencyUnknown: 0
        case .idempotent: 1
        case .noSideEffects: 2
        }
    }
}
