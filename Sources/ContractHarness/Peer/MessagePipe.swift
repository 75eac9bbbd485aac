import Foundation
import Glibc
package import SwiftProtobuf
import Synchronization

/// Length-delimited protobuf over a pair of file descriptors: what harness and peer speak (PROTOCOL.md).
///
/// Reading blocks, so it has a thread of its own; writing is short and takes turns.
package final class MessagePipe: Sendable {
    /// Bytes of the longest message.
    package static let maximumSize: UInt32 = 64 * 1024 * 1024

    private let input: Int32
    private let output: Int32
    private let turn = Mutex(())

    package init(input: Int32, output: Int32) {
        self.input = input
        self.output = output
    }

    /// The messages that arrive, to the end of the input. One reader.
    package func messages<M: Message & Sendable>(_ type: M.Type = M.self) -> AsyncThrowingStream<M, any Error> {
        AsyncThrowingStream { continuation in
            let thread = Thread { [self] in
                do {
                    while let message: M = try next() { continuation.yield(message) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            thread.name = "control"
            thread.start()
        }
    }

    package func send(_ message: some Message) throws {
        let body: [UInt8] = try message.serializedBytes()
        let size = UInt32(clamping: body.count)
        let header = (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }
        try turn.withLock { _ in try write(header + body) }
    }

    private func next<M: Message>() throws -> M? {
        guard let header = try read(4) else { return nil }
        let size = header.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard size <= Self.maximumSize else { throw PipeError("a message of \(size) bytes is announced") }
        guard let body = try read(Int(size)) else { throw PipeError("the input ends within a message") }
        return try M(serializedBytes: body)
    }

    /// Exactly `count` bytes; nil at the end of the input before the first.
    private func read(_ count: Int) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(input, $0.baseAddress?.advanced(by: have), count - have)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw PipeError(String(cString: strerror(errno))) }
            guard got > 0 else {
                if have == 0 { return nil }
                throw PipeError("the input ends within a message")
            }
            have += got
        }
        return bytes
    }

    private func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(output, $0.baseAddress?.advanced(by: sent), bytes.count - sent)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw PipeError(String(cString: strerror(errno))) }
            sent += count
        }
    }
}

/// Why a pipe to or from a peer is of no use any more.
package struct PipeError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
