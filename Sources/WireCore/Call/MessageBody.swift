package import NIOCore

/// A message, however it is held: on its way out neither form is copied before it is framed, on its way in one that came in many
/// fragments is not copied after they were put together.
package enum MessageBody: Sendable {
    case bytes([UInt8])
    case buffer(ByteBuffer)

    package init() { self = .buffer(ByteBuffer()) }

    package var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .buffer(let buffer): buffer.readableBytes
        }
    }

    /// Its bytes; of a buffer a copy.
    package var array: [UInt8] {
        switch self {
        case .bytes(let bytes): bytes
        case .buffer(let buffer): buffer.withUnsafeReadableBytes { [UInt8]($0) }
        }
    }

    /// The same without the rest of what was read together with it: a message may wait for long.
    package var compacted: MessageBody {
        switch self {
        case .bytes: self
        case .buffer(let buffer): .buffer(buffer.compacted)
        }
    }

    /// Calls `body` with its bytes where they are.
    package func withSpan<Result>(_ body: (RawSpan) throws -> Result) rethrows -> Result {
        switch self {
        case .bytes(let bytes): try body(bytes.span.bytes)
        case .buffer(let buffer): try body(buffer.readableBytesSpan)
        }
    }

    /// Its first bytes, as many as that at most.
    func prefix(_ count: Int) -> ByteBuffer {
        switch self {
        case .bytes(let bytes): ByteBuffer(bytes: bytes.prefix(count))
        case .buffer(let buffer): buffer.getSlice(at: buffer.readerIndex, length: min(count, buffer.readableBytes)) ?? ByteBuffer()
        }
    }

    func withUnsafeBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        switch self {
        case .bytes(let bytes): bytes.withUnsafeBytes(body)
        case .buffer(let buffer): buffer.withUnsafeReadableBytes(body)
        }
    }

    func write(to output: inout ByteBuffer) {
        switch self {
        case .bytes(let bytes): output.writeBytes(bytes)
        case .buffer(let buffer): output.writeImmutableBuffer(buffer)
        }
    }
}

extension MessageBody: Equatable {
    /// Two are equal when their bytes are.
    package static func == (left: MessageBody, right: MessageBody) -> Bool {
        var isEqual = false
        left.withUnsafeBytes { left in right.withUnsafeBytes { isEqual = left.elementsEqual($0) } }
        return isEqual
    }
}

extension ByteBuffer {
    /// The same bytes without the rest of what was read together with them.
    package var compacted: ByteBuffer {
        storageCapacity > 2 * readableBytes + 512 ? ByteBuffer(bytes: readableBytesView) : self
    }
}
