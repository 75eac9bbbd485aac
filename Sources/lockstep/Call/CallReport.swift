import Foundation
import RPCCore

/// How an error of a call is shown and with which status the command ends.
struct CallReport {
    let error: RPCError

    /// As `sysexits.h` numbers them. What is too large is no matter of time: it will not do better later.
    var status: Int32 {
        if ["request_too_large", "response_too_large"].contains(error.reason) { return 65 }
        return switch error.code {
        case .ok: 0
        case .invalidArgument, .outOfRange, .failedPrecondition, .alreadyExists, .notFound, .aborted: 65
        case .unimplemented: 69
        case .internal, .unknown, .dataLoss: 70
        case .unavailable, .deadlineExceeded, .resourceExhausted, .cancelled: 75
        case .permissionDenied, .unauthenticated: 77
        }
    }

    var lines: [String] {
        var lines = ["\(error.code.name)\(error.reason.isEmpty ? "" : " (\(error.reason))"): \(error.message)"]
        lines += error.violations.map { "  \($0.field): \($0.message)" }
        lines += error.details.map { "  detail: \($0.type.isEmpty ? "of an unknown type" : $0.type), \($0.value.count) bytes" }
        lines.append("  processed: \(processed)")
        if let retry = error.retryAfter { lines.append("  try again after: \(Self.text(retry))") }
        if let timeline { lines.append("  time: \(timeline)") }
        if let waitedFor = error.timeline.waitedFor { lines.append("  waited for: \(waitedFor)") }
        return lines
    }

    private var processed: String {
        switch error.processed {
        case .no: "no"
        case .maybe: "maybe"
        case .yes: "yes"
        }
    }

    private var timeline: String? {
        let times = [
            ("waited for a connection", error.timeline.waitedForConnection), ("queued", error.timeline.queued),
            ("ran", error.timeline.ran), ("sent", error.timeline.sent),
        ]
        let known = times.compactMap { name, time in time.map { "\(name) \(Self.text($0))" } }
        return known.isEmpty ? nil : known.joined(separator: ", ")
    }

    private static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = Double(seconds) * 1000 + Double(attoseconds) / 1e15
        return String(format: "%.1f ms", milliseconds)
    }
}
