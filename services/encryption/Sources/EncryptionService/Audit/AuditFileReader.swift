import Glibc

/// Reads lines of an audit log, a part of the file at a time: it may be long.
struct AuditFileReader {
    /// How much is read at once, in bytes. No record is longer.
    private static let partCount = 1 << 18

    enum Failure: Error {
        case file(KeyringProblem)
        /// A line that is no record, or not the one that should be there.
        case record(AuditDamage)
    }

    let descriptor: Int32
    let path: String

    /// Where the last whole line ends; 0 when there is none.
    func end(ofLastLineBefore size: Int) throws(KeyringProblem) -> Int {
        var end = size
        while end > 0 {
            let start = max(0, end - Self.partCount)
            let bytes = try read(start, end - start)
            if let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) { return start + newline + 1 }
            end = start
        }
        return 0
    }

    /// Hands out all lines up to `end`, without their ends.
    func lines(to end: Int, _ body: (ArraySlice<UInt8>) throws(AuditDamage) -> Void) throws(Failure) {
        var (position, rest) = (0, [UInt8]())
        while position < end {
            let bytes = rest + (try part(position, min(Self.partCount, end - position)))
            position += bytes.count - rest.count
            var next = bytes.startIndex
            while let newline = bytes[next...].firstIndex(of: UInt8(ascii: "\n")) {
                do throws(AuditDamage) { try body(bytes[next..<newline]) } catch { throw .record(error) }
                next = newline + 1
            }
            rest = Array(bytes[next...])
            guard rest.count <= Self.partCount else { throw .record(AuditDamage("a line is too long to be a record")) }
        }
    }

    private func part(_ start: Int, _ count: Int) throws(Failure) -> [UInt8] {
        do throws(KeyringProblem) { return try read(start, count) } catch { throw .file(error) }
    }

    private func read(_ start: Int, _ count: Int) throws(KeyringProblem) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var read = 0
        while read < count {
            let rest = count - read
            let got = bytes[read...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, rest, off_t(start + read)) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw PrivateFile.failure(path, "read") }
            read += got
        }
        return bytes
    }
}
