import NIOCore
import WireCore

/// One direction of a TCP connection: bytes in order, late, in pieces; now and then nothing for a while.
struct Pipe {
    /// What the network is like.
    struct Weather {
        var latency: WireDuration
        var jitterMicros: Int
        /// The largest piece that arrives at once, bytes.
        var piece: Int
    }

    /// Bytes that the operating system takes before the sender has to wait.
    static let room = 256 * 1024

    private var pieces = CircularBuffer<(due: WireInstant, bytes: ByteBuffer)>()
    private(set) var waiting = 0
    private var lastDue = WireInstant(nanoseconds: 0)
    private var stalledUntil = WireInstant(nanoseconds: 0)
    private var hasEnded = false

    var isFull: Bool { waiting >= Self.room }

    /// When the next piece arrives.
    var nextDue: WireInstant? { pieces.first.map { max($0.due, stalledUntil) } }

    mutating func send(_ bytes: ByteBuffer, _ weather: Weather, now: WireInstant, _ chance: inout Chance) {
        guard !hasEnded else { return }
        var rest = bytes
        while rest.readableBytes > 0 {
            let size = min(rest.readableBytes, 1 + chance.below(weather.piece))
            guard let piece = rest.readSlice(length: size) else { return }
            let jitter = WireDuration.microseconds(UInt64(chance.below(weather.jitterMicros + 1)))
            lastDue = max(lastDue, now.advanced(by: weather.latency).advanced(by: jitter))
            pieces.append((lastDue, ByteBuffer(bytes: piece.readableBytesView)))
            waiting += size
        }
    }

    mutating func receive(now: WireInstant) -> ByteBuffer? {
        guard let due = nextDue, due <= now, let piece = pieces.popFirst() else { return nil }
        waiting -= piece.bytes.readableBytes
        return piece.bytes
    }

    mutating func stall(until instant: WireInstant) { stalledUntil = max(stalledUntil, instant) }

    /// Nothing follows what is under way.
    mutating func end() { hasEnded = true }

    /// What is under way is lost.
    mutating func cut() {
        pieces.removeAll()
        waiting = 0
        hasEnded = true
    }

    /// Everything that was sent has arrived, and nothing follows.
    var isOver: Bool { hasEnded && pieces.isEmpty }
}
