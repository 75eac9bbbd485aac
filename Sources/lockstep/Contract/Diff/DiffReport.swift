import Foundation
import RPCCodeGen

/// What changed, as people and as machines read it.
struct DiffReport {
    private let diff: ContractDiff

    init(_ diff: ContractDiff) { self.diff = diff }

    /// One line for each change, then how many there are of either kind.
    var table: String {
        let rows = diff.changes.map(Self.row)
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let padded = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
            return (padded + [row[3]]).joined(separator: "  ")
        }
        return (lines + [summary]).joined(separator: "\n")
    }

    /// `{"breaking": 1, "compatible": 0, "changes": [...]}`
    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let summary = Summary(
                breaking: diff.breaking.count, compatible: diff.compatible.count, changes: diff.changes)
            return String(decoding: try encoder.encode(summary), as: UTF8.self)
        }
    }

    private var summary: String { "\(diff.breaking.count) breaking, \(diff.compatible.count) compatible" }

    private static func row(_ change: Change) -> [String] {
        let place = change.side == .old ? "\(change.position) (old)" : change.position.description
        return [change.verdict.rawValue, place, change.subject, "\(change.text) [\(change.rule.rawValue)]"]
    }

    private struct Summary: Encodable {
        let breaking: Int
        let compatible: Int
        let changes: [Change]
    }
}
