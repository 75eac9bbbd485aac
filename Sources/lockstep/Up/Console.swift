import Foundation
import Glibc
import Synchronization

/// Standard output, shared by all services: each line behind the name of who wrote it, in a colour of its own on a
/// terminal.
final class Console: Sendable {
    private let isColoured: Bool
    private let width: Int
    private let colours: [String: Int]
    private let lock = Mutex(())

    /// ANSI colours that are readable on light and dark backgrounds.
    private static let palette = [36, 33, 32, 35, 34, 31]
    static let ownName = "lockstep"

    /// - Parameter environment: `NO_COLOR` (no-color.org), when it is not empty, switches colours off.
    init(names: [String], environment: [String: String], isTerminal: Bool = isatty(STDOUT_FILENO) == 1) {
        isColoured = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        width = (names + [Self.ownName]).map(\.count).max() ?? 0
        colours = Dictionary(
            names.enumerated().map { ($1, Self.palette[$0 % Self.palette.count]) },
            uniquingKeysWith: { first, _ in first })
    }

    /// A line that a service wrote.
    func line(_ name: String, _ bytes: [UInt8]) { write(rendered(name, bytes)) }

    /// A line of the supervisor's own.
    func say(_ text: String) { write(prefix(Self.ownName) + Array(text.utf8)) }

    func rendered(_ name: String, _ bytes: [UInt8]) -> [UInt8] { prefix(name) + sanitised(bytes) }

    private func prefix(_ name: String) -> [UInt8] {
        let padded = name.padding(toLength: width, withPad: " ", startingAt: 0)
        guard isColoured else { return Array("\(padded) | ".utf8) }
        let colour = colours[name].map { "\u{1B}[\($0)m" } ?? "\u{1B}[1m"
        return Array("\(colour)\(padded) |\u{1B}[0m ".utf8)
    }

    /// Without control characters: what services print must not steer the terminal.
    private func sanitised(_ bytes: [UInt8]) -> [UInt8] {
        bytes.map { ($0 < 0x20 && $0 != UInt8(ascii: "\t")) || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
    }

    private func write(_ line: [UInt8]) {
        lock.withLock { _ in
            try? FileHandle.standardOutput.write(contentsOf: Data(line + [UInt8(ascii: "\n")]))
        }
    }
}
