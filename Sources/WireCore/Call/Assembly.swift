import NIOCore

/// One message on its way in. Its declared length is known from the start; memory follows what arrives.
struct Assembly: Equatable, Sendable {
    let length: UInt32
    private(set) var received: UInt32
    /// A message that came in one piece stays where it was read.
    private var piece = ByteBuffer()
    /// One of many is put together here.
    private var bytes: [UInt8] = []
    /// Counts without keeping: nobody waits for the message any more.
    private let discards: Bool

    init(_ start: MessageStart, discards: Bool = false) {
        length = start.length
        received = UInt32(clamping: start.fragment.readableBytes)
        self.discards = discards
        guard !discards else { return }
        if isWhole { piece = start.fragment.compacted } else { keep(start.fragment) }
    }

    /// What has come of it.
    var body: MessageBody { bytes.isEmpty ? .buffer(piece) : .bytes(bytes) }

    var isWhole: Bool { received == length }
    var missing: UInt32 { length - received }

    /// Adds the next fragment.
    mutating func append(_ fragment: ByteBuffer) throws(WireViolation) {
        let size = fragment.readableBytes
        guard size <= Int(missing) else {
            throw .connection(.protocolError, 41, "\(size) message bytes, \(missing) of \(length) were missing")
        }
        received += UInt32(size)
        if !discards { keep(fragment) }
    }

    /// Grows to sixteen times what is here, from the first fragment on: few bytes are copied by growing, and no peer gets more than
    /// sixteen times as much memory as it has sent, nor more than it declared.
    private mutating func keep(_ fragment: ByteBuffer) {
        if bytes.capacity < bytes.count + fragment.readableBytes { bytes.reserveCapacity(min(Int(length), 16 * Int(received))) }
        fragment.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
    }

    /// The same message, no longer kept.
    func discarding() -> Assembly {
        Assembly(length: length, received: received)
    }

    /// One that is not kept.
    private init(length: UInt32, received: UInt32) {
        (self.length, self.received, discards) = (length, received, true)
    }
}

/// The sum of the declared lengths of all messages under reassembly. Booking the whole length at the start is what
/// keeps half-received messages from blocking each other for good (W-44).
struct ReassemblyBudget: Equatable, Sendable {
    private let size: UInt32
    private var left: UInt32

    init(_ size: UInt32) {
        self.size = size
        left = size
    }

    mutating func reserve(_ bytes: UInt32) -> Bool {
        guard bytes <= left else { return false }
        left -= bytes
        return true
    }

    mutating func release(_ bytes: UInt32) {
        left = bytes > size - left ? size : left + bytes
    }
}
