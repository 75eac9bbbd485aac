package import NIOCore

/// How much a connection reads at once, and lets wait to be written; the same at both ends.
package enum ChannelBuffers {
    /// Beyond the upper bound nothing more is encrypted until the lower one is reached, bytes.
    package static let writes = ChannelOptions.Types.WriteBufferWaterMark(low: 128 * 1024, high: 512 * 1024)
    /// A burst of large messages in one read, bytes. NIO's own 64 KiB took two, and more would be out of the cache by the time that
    /// it is decrypted.
    package static let reads = AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 2048, maximum: 128 * 1024)
    /// Reads before other connections of the loop have their turn. NIO keeps a buffer for each, and has four of half the size.
    package static let readsInARow: UInt = 2
}
