import Foundation
import Glibc

/// Standard error, written by a thread of its own so that a slow reader never holds an event loop.
///
/// What does not fit the buffer is dropped and counted: a log may lose lines, a service may not wait for it.
/// `@unchecked Sendable`: what varies is used under `condition` alone.
package final class StandardErrorOutput: LogOutput, @unchecked Sendable {
    /// Bytes that may wait for the reader.
    private static let capacity = 4 * 1024 * 1024

    /// The only one: two threads would mix their lines.
    package static let shared = StandardErrorOutput(descriptor: STDERR_FILENO)

    private let descriptor: Int32
    private let condition = NSCondition()
    private var waiting: [UInt8] = []
    private var lost = 0
    private var isWriting = false

    init(descriptor: Int32) {
        self.descriptor = descriptor
        Thread.detachNewThread { [self] in work() }
    }

    package func write(_ line: [UInt8]) {
        condition.withLock {
            guard waiting.count + line.count <= Self.capacity else {
                lost += 1
                return
            }
            waiting.append(contentsOf: line)
            condition.broadcast()
        }
    }

    package func flush() {
        condition.withLock { while !waiting.isEmpty || isWriting { condition.wait() } }
    }

    private func work() -> Never {
        while true { put(take()) }
    }

    private func take() -> [UInt8] {
        condition.withLock {
            isWriting = false
            condition.broadcast()
            while waiting.isEmpty { condition.wait() }
            isWriting = true
            defer { waiting = [] }
            return waiting + lossReport()
        }
    }

    private func lossReport() -> [UInt8] {
        guard lost > 0 else { return [] }
        defer { lost = 0 }
        var line = JSONLine()
        line.add("level", "warning")
        line.add("message", "log lines were lost")
        line.add("count", LogValue(content: .number(Int64(lost))))
        return line.finished()
    }

    private func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0, errno != EINTR { return }
                rest = rest.dropFirst(max(0, written))
            }
        }
    }
}
