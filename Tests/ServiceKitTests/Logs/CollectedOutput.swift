import Foundation
import Logging
import ServiceKit
import Synchronization

/// Keeps log lines.
final class CollectedOutput: LogOutput {
    private let bytes = Mutex<[UInt8]>([])

    func write(_ line: [UInt8]) { bytes.withLock { $0 += line } }

    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }

    /// Each line as the object that it is.
    func objects() throws -> [[String: Any]] {
        try text.split(separator: "\n").map { line in
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
        }
    }

    func logger(_ level: Logger.Level = .trace) -> Logger {
        Logger(service: "auth", level: level, output: self, clock: ManualWallClock(microseconds: 1_763_692_800_123_456))
    }
}
