import Glibc

/// When files that may have changed are to be read again: a value that is told what they look like now.
///
/// A change counts once it has stood still from one look to the next, so that files that are replaced one after the
/// other are read together; one that could not be used is not read again until there is another.
package struct TLSFileWatch: Sendable {
    /// What shows that a file was replaced or written to; nil where there is none.
    package struct Stamp: Sendable, Hashable {
        package var device: UInt64
        package var inode: UInt64
        package var size: Int64
        /// Of the last change, nanoseconds.
        package var changed: Int64

        package init(device: UInt64, inode: UInt64, size: Int64, changed: Int64) {
            self.device = device
            self.inode = inode
            self.size = size
            self.changed = changed
        }
    }

    private var last: [Stamp?]?
    private var handled: [Stamp?]?

    package init() {}

    /// Whether to read the files now.
    package mutating func look(_ stamps: [Stamp?]) -> Bool {
        defer { last = stamps }
        guard stamps != handled, stamps == last else { return false }
        handled = stamps
        return true
    }

    /// Somebody has asked for the files to be read, whatever they look like.
    package mutating func force(_ stamps: [Stamp?]) {
        last = stamps
        handled = stamps
    }
}

extension TLSFiles {
    /// What the files look like now.
    package var stamps: [TLSFileWatch.Stamp?] { [certificate, key, authority].map(Self.stamp) }

    private static func stamp(_ path: String) -> TLSFileWatch.Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return TLSFileWatch.Stamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            // Of the file's state too: a key that was refused for its mode is read once the mode is right.
            changed: Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec))
    }
}
