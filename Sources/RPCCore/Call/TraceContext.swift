/// A place in a trace, as W3C Trace Context writes it: which trace, and which part of it is the caller.
///
/// Identifiers are random numbers; `state` is opaque and forwarded, never read and never logged.
package struct TraceContext: Sendable, Hashable {
    /// 16 bytes, not all zero.
    package let traceID: TraceID
    /// The part of the trace that the one who holds this belongs to; never zero.
    package let spanID: UInt64
    /// Whether those before have kept their part, so that the trace is whole.
    package let isSampled: Bool
    /// The `tracestate` of tracing systems; nil for none.
    package let state: String?

    package init(traceID: TraceID, spanID: UInt64, isSampled: Bool, state: String? = nil) {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
        self.state = state
    }

    /// The beginning of a new trace.
    package static func root(isSampled: Bool, using random: inout some RandomNumberGenerator) -> TraceContext {
        TraceContext(
            traceID: TraceID(high: random.next(), low: .random(in: 1...UInt64.max, using: &random)),
            spanID: .random(in: 1...UInt64.max, using: &random), isSampled: isSampled)
    }

    /// A part of the same trace.
    package func child(using random: inout some RandomNumberGenerator) -> TraceContext {
        TraceContext(
            traceID: traceID, spanID: .random(in: 1...UInt64.max, using: &random), isSampled: isSampled, state: state)
    }
}

/// The number of a trace: 128 bits.
package struct TraceID: Sendable, Hashable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 32 hexadecimal digits.
    package var description: String { high.traceDigits + low.traceDigits }
}

extension UInt64 {
    /// 16 hexadecimal digits.
    package var traceDigits: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

// MARK: - As text (W3C Trace Context, section 3)

extension TraceContext {
    /// The names of the HTTP fields and of what tracing systems inject.
    package static let parentField = "traceparent"
    package static let stateField = "tracestate"
    /// Characters of a `traceparent` of version 00.
    package static let parentLength = 55
    /// Characters of the longest `tracestate` that is forwarded.
    package static let maximumState = 512
    /// Members of the longest list.
    private static let maximumMembers = 32

    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`
    package var parent: String { "00-\(traceID)-\(spanID.traceDigits)-\(isSampled ? "01" : "00")" }

    /// The same place with another `tracestate`; without any when `state` is none.
    package func with(state: String) -> TraceContext {
        TraceContext(
            traceID: traceID, spanID: spanID, isSampled: isSampled, state: Self.isState(state) ? state : nil)
    }

    /// Nil for what is no `traceparent`. A `tracestate` that is none is left out; the trace goes on without it.
    package init?(parent: some Collection<UInt8>, state: String? = nil) {
        var text = FieldReader(parent)
        guard let version = text.hex(2), version != 0xFF, text.dash(), let high = text.hex(16), let low = text.hex(16),
            high | low != 0, text.dash(), let span = text.hex(16), span != 0, text.dash(), let flags = text.hex(2),
            text.rest.isEmpty || (version > 0 && text.dash())
        else { return nil }
        self.init(
            traceID: TraceID(high: high, low: low), spanID: span, isSampled: flags & 1 == 1,
            state: state.flatMap { Self.isState($0) ? $0 : nil })
    }

    /// A list of at most 32 members `key=value` in printable ASCII, section 3.3.
    private static func isState(_ text: String) -> Bool {
        guard (1...maximumState).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 9 })
        else { return false }
        let members = text.split(separator: ",", omittingEmptySubsequences: false)
        return members.count <= maximumMembers && members.allSatisfy(isMember)
    }

    private static func isMember(_ text: Substring) -> Bool {
        let member = text.drop { $0 == " " || $0 == "\t" }
        guard !member.isEmpty else { return true }
        guard let equals = member.firstIndex(of: "=") else { return false }
        return (1...256).contains(member[..<equals].utf8.count) && !member[equals...].dropFirst().contains("=")
    }
}

/// Reads fixed-width fields of lower-case hexadecimal digits.
private struct FieldReader<Text: Collection<UInt8>> {
    private(set) var rest: Text.SubSequence

    init(_ text: Text) { rest = text[...] }

    mutating func hex(_ digits: Int) -> UInt64? {
        guard rest.count >= digits else { return nil }
        var value: UInt64 = 0
        for byte in rest.prefix(digits) {
            guard let digit = Self.digit(byte) else { return nil }
            value = value << 4 | digit
        }
        rest = rest.dropFirst(digits)
        return value
    }

    mutating func dash() -> Bool {
        guard rest.first == UInt8(ascii: "-") else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        default: nil
        }
    }
}
