import Dispatch
import Foundation
import Glibc

/// The requests of a stream: JSON objects, one on each line, read as they are wanted.
final class RequestLines: Sendable {
    /// - Parameter text: Lines of JSON, `@FILE`, or `-` for standard input.
    static func open(_ text: String?) throws -> RequestLines {
        guard let text else { return RequestLines(lines: []) }
        if text == "-" { return RequestLines(descriptor: STDIN_FILENO) }
        guard text.hasPrefix("@") else { return RequestLines(lines: text.split(separator: "\n").map { Array($0.utf8) }) }
        let path = String(text.dropFirst())
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandFailure("\(path) cannot be read.", status: 66) }
        return RequestLines(descriptor: descriptor)
    }

    private struct State {
        var ready: [[UInt8]]
        var rest: [UInt8] = []
        var isAtEnd: Bool
    }

    private let descriptor: Int32
    private let state: LockedState
    /// Reading blocks: a thread of this queue does it.
    private let queue = DispatchQueue(label: "requests")

    init(lines: [[UInt8]]) {
        descriptor = -1
        state = LockedState(State(ready: lines.reversed(), isAtEnd: true))
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        state = LockedState(State(ready: [], isAtEnd: false))
    }

    /// The next line that is not empty; nil at the end.
    ///
    /// - Throws: `CommandFailure` for a line above `RequestData.maximumSize`.
    func next() async throws -> [UInt8]? {
        let result: Result<[UInt8]?, CommandFailure> = await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: read()) }
        }
        return try result.get()
    }

    private func read() -> Result<[UInt8]?, CommandFailure> {
        while true {
            if let line = state.value.ready.popLast() {
                if line.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\r") }) { return .success(line) }
                continue
            }
            if state.value.isAtEnd { return .success(nil) }
            fill()
            guard state.value.rest.count <= RequestData.maximumSize else {
                return .failure(CommandFailure("A line has more than \(RequestData.maximumSize) bytes.", status: 65))
            }
        }
    }

    private func fill() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { return }
        guard count > 0 else {
            state.value.isAtEnd = true
            if !state.value.rest.isEmpty { state.value.ready = [state.value.rest] }
            state.value.rest = []
            return
        }
        var lines = (state.value.rest + buffer[..<count]).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        state.value.rest = Array(lines.removeLast())
        state.value.ready = lines.reversed().map { Array($0) }
    }

    // Every use is inside `queue`, one after the other.
    /// `@unchecked Sendable`: touched on `RequestLines`' own queue alone.
    private final class LockedState: @unchecked Sendable {
        var value: State
        init(_ value: State) { self.value = value }
    }
}
