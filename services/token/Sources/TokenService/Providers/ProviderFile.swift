internal import Foundation
internal import Glibc
internal import ServiceKit

/// Reads `token.providers`: a JSON list of providers, checked whole before the service starts.
package enum ProviderFile {
    /// Larger files are not read.
    static let maximumBytes = 1 << 20

    /// - Returns: nil when there is no such file.
    /// - Throws: `ProviderFileError` naming file, entry and field.
    package static func load(path: String) throws(ProviderFileError) -> ProviderRegistry? {
        guard access(path, F_OK) == 0 else { return nil }
        let data = try read(path, entry: nil, field: nil, owner: path)
        guard let list = try? JSONSerialization.jsonObject(with: data) as? [Any] else {
            throw ProviderFileError(file: path, problem: "it must be a JSON list of objects")
        }
        var providers: [Provider] = []
        for (index, item) in list.enumerated() {
            let entry = try ProviderEntry(item, file: path, index: index)
            let provider = try entry.provider()
            if providers.contains(where: { $0.id == provider.id }) {
                throw entry.error("provider", "there are two providers of this name")
            }
            providers.append(provider)
        }
        return ProviderRegistry(providers)
    }

    /// Reads a file that only its owner may read.
    static func read(
        _ path: String, entry: Int?, field: String?, owner file: String
    ) throws(ProviderFileError) -> Data {
        func problem(_ text: String) -> ProviderFileError {
            ProviderFileError(file: file, entry: entry, field: field, problem: text)
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw problem("\(path) cannot be found") }
        guard status.st_mode & 0o077 == 0 else {
            throw problem("\(path) can be read by others than its owner; it holds secrets: chmod 600 \(path)")
        }
        guard status.st_size <= maximumBytes else { throw problem("\(path) is larger than \(maximumBytes) bytes") }
        guard let data = FileManager.default.contents(atPath: path) else { throw problem("\(path) cannot be read") }
        return data
    }
}

/// What is wrong in the providers file; never holds a value of it.
package struct ProviderFileError: Error, Equatable, CustomStringConvertible {
    package var file: String
    /// From 0.
    package var entry: Int?
    package var field: String?
    package var problem: String

    package var description: String {
        let place = entry.map { ", entry \($0)" } ?? ""
        return "token.providers: \(file)\(place)\(field.map { ", \($0)" } ?? ""): \(problem)."
    }
}
