import Foundation
import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// One thing that is wrong in a contract, where, and what to write instead.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    package let position: Position
    /// A sentence about what is wrong.
    package let problem: String
    /// What to write instead, as an imperative sentence.
    package let advice: String

    package var description: String { "\(position): error: \(problem) \(advice)" }
}

/// A place in a .proto file; line and column count from 1.
package struct Position: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let file: String
    package let line: Int
    package let column: Int

    package var description: String { "\(file):\(line):\(column)" }

    package static func < (a: Position, b: Position) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
}

/// All that is wrong in a contract. Its description has one line for each problem.
package struct LintFailure: Error, CustomStringConvertible {
    package let diagnostics: [Diagnostic]

    package var description: String {
        "the contract is refused.\n" + diagnostics.map(\.description).joined(separator: "\n")
    }
}

extension ProvidesLocationPath {
    /// Where this is declared. With `option`, where that option of it is set, if it is.
    func position(ofOption option: SetOption? = nil) -> Position {
        var path = IndexPath()
        getLocationPath(path: &path)
        let whole = file.position(path)
        guard let option else { return whole ?? file.start }
        return file.position(path.appending(option.path)) ?? whole ?? file.start
    }
}

/// The place of a custom option below its element: the field number of `options`, then of the extension.
enum SetOption {
    case service
    case method
    case field

    /// Numbers in `descriptor.proto` and in `options.proto`.
    var path: [Int] {
        switch self {
        case .service: [3, 51001]
        case .method: [4, 51002]
        case .field: [8, 51003]
        }
    }
}

extension FileDescriptor {
    /// The beginning of the file, for what has no place of its own.
    var start: Position { Position(file: name, line: 1, column: 1) }

    /// The `syntax` statement: field 12 of `FileDescriptorProto`.
    var syntaxPosition: Position { position([12]) ?? start }

    fileprivate func position(_ path: IndexPath) -> Position? {
        guard let span = sourceCodeInfoLocation(path: path)?.span, span.count >= 2 else { return nil }
        return Position(file: name, line: Int(span[0]) + 1, column: Int(span[1]) + 1)
    }
}
