import NIOCore

/// All frames on their way out, in one buffer: a burst shares one write.
///
/// The storage is used again once the driver has let go of what it took.
struct OutboundBuffer: Sendable {
    private var buffer = ByteBuffer()
    /// What `buffer` holds has been handed out: it counts as empty and is cleared before the next frame.
    private var isTaken = true
    /// Since when bytes wait, as far as this side was told the time.
    private(set) var waitingSince: WireInstant?

    /// Storage above this is let go after a burst, bytes.
    private static let retainedCapacity = 256 * 1024

    var byteCount: Int { isTaken ? 0 : buffer.readableBytes }

    mutating func write(_ body: (inout ByteBuffer) -> Void) {
        if isTaken { reuse() }
        body(&buffer)
    }

    /// Hands out what is there.
    mutating func take() -> ByteBuffer? {
        waitingSince = nil
        guard byteCount > 0 else { return nil }
        isTaken = true
        return buffer
    }

    /// Starts the clock of the write timeout, or stops it.
    mutating func noteTime(_ now: WireInstant) {
        if byteCount == 0 {
            waitingSince = nil
        } else if waitingSince == nil {
            waitingSince = now
        }
    }

    private mutating func reuse() {
        isTaken = false
        if buffer.capacity > Self.retainedCapacity {
            buffer = ByteBuffer()
        } else {
            buffer.clear()
        }
    }
}
