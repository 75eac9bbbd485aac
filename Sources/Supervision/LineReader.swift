import Glibc

/// Cuts what a process writes into lines.
package struct LineReader {
    /// Bytes of the longest line; a longer one is cut.
    static let maximumLine = 64 * 1024
    private static let chunk = 16 * 1024

    private var rest: [UInt8] = []

    /// Reads until the other end closes and gives each line, without its line feed, to `take`. Closes the descriptor.
    package static func read(_ descriptor: Int32, _ take: ([UInt8]) -> Void) {
        var reader = LineReader()
        var buffer = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            reader.add(buffer[..<count], take)
        }
        if !reader.rest.isEmpty { take(reader.rest) }
        close(descriptor)
    }

    mutating func add(_ bytes: some Collection<UInt8>, _ take: ([UInt8]) -> Void) {
        for byte in bytes {
            if byte != UInt8(ascii: "\n") { rest.append(byte) }
            guard byte == UInt8(ascii: "\n") || rest.count == Self.maximumLine else { continue }
            take(rest)
            rest.removeAll(keepingCapacity: true)
        }
    }
}
