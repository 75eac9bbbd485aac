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

    /// Where a line begins whose record has that number or a smaller one: found from the end, for it is near there.
    func start(ofTailWith sequence: UInt64, end: Int) throws(Failure) -> Int {
        var start = end
        while start > 0 {
            start = max(0, start - Self.partCount)
            guard start > 0 else { return 0 }
            let bytes = try part(start, min(2 * Self.partCount, end - start))
            // The first line of a part may be the end of one.
            guard let before = bytes.firstIndex(of: UInt8(ascii: "\n")),
                let after = bytes[(before + 1)...].firstIndex(of: UInt8(ascii: "\n"))
            else { throw .record(AuditDamage("a line is too long to be a record")) }
            let record: AuditRecord
            do throws(AuditDamage) { record = try AuditRecord(line: bytes[(before + 1)..<after]) } catch { throw .record(error) }
            if record.sequence <= sequence { return start + before + 1 }
        }
        return 0
    }

    /// Hands out the lines, without their ends, until `body` wants no more.
    func lines(
        from start: Int, to end: Int, _ body: (ArraySlice<UInt8>) throws(AuditDamage) -> Bool
    ) throws(Failure) {
        var (position, rest) = (start, [UInt8]())
        while position < end {
            let bytes = rest + (try part(position, min(Self.partCount, end - position)))
            position += bytes.count - rest.count
            var next = bytes.startIndex
            while let newline = bytes[next...].firstIndex(of: UInt8(ascii: "\n")) {
                do throws(AuditDamage) {
                    guard try body(bytes[next..<newline]) else { return }
                } catch {
                    throw .record(error)
                }
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
