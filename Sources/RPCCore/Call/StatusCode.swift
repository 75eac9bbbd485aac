/// The outcome classes of a call. The numbers are gRPC's, so that people and tools know them.
package enum StatusCode: UInt32, Sendable, Hashable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16

    /// The name as it is written in contracts, logs and problems: `DEADLINE_EXCEEDED`.
    package var name: String { Self.names[Int(rawValue)] }

    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]
}

/// Whether the callee's handler ran. What a caller needs to know before it tries again.
package enum Processed: UInt8, Sendable, Hashable {
    /// Certainly not: safe to send again.
    case no = 0
    /// Nobody can tell: the connection was lost while the call was outstanding.
    case maybe = 1
    /// It did, to whatever end.
    case yes = 2
}
