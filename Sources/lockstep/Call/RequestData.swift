import Foundation

/// The request's JSON: from the command line, from a file or from standard input.
enum RequestData {
    /// Bytes of the largest that is read.
    static let maximumSize = 16 * 1024 * 1024

    /// - Parameter text: JSON, `@FILE`, or `-` for standard input.
    static func read(_ text: String?) throws -> [UInt8] {
        guard let text else { return [] }
        if text == "-" { return try read(.standardInput, "standard input") }
        guard text.hasPrefix("@") else { return Array(text.utf8) }
        let path = String(text.dropFirst())
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw CommandFailure("\(path) cannot be read.", status: 66)
        }
        return try read(file, path)
    }

    private static func read(_ file: FileHandle, _ name: String) throws -> [UInt8] {
        guard let data = try? file.read(upToCount: maximumSize + 1) ?? Data() else {
            throw CommandFailure("\(name) cannot be read.", status: 66)
        }
        guard data.count <= maximumSize else {
            throw CommandFailure("\(name) has more than \(maximumSize) bytes.", status: 65)
        }
        return Array(data)
    }
}
