import Foundation

/// The repository as text: what the rules of the house are checked against.
struct SourceTree {
    struct File {
        /// Relative to the repository: `Sources/WireCore/Frame/FrameHeader.swift`.
        let path: String
        let lines: [String]

        /// The line without a `//` comment. String literals that hold `//` lose their tail, which no rule minds.
        func code(at index: Int) -> String {
            let line = lines[index]
            guard let comment = line.range(of: "//") else { return line }
            return String(line[..<comment.lowerBound])
        }

        var isGenerated: Bool { path.contains("/Generated/") || path.contains("/Golden/") }
    }

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// All Swift files below `folders`, generated ones left out.
    static func swift(below folders: String...) throws -> [File] {
        try folders.flatMap { folder in
            let base = root.appending(path: folder).resolvingSymlinksInPath()
            let found = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
            return try found.filter { $0.hasSuffix(".swift") && !$0.contains(".build") }.sorted().map { name in
                let text = try String(contentsOf: base.appending(path: name), encoding: .utf8)
                return File(path: "\(folder)/\(name)", lines: text.components(separatedBy: "\n"))
            }
        }
        .filter { !$0.isGenerated }
    }

    /// The module that a file belongs to: the folder under `Sources/` or under `services/*/Sources/`.
    static func module(of file: File) -> String? {
        let parts = file.path.split(separator: "/").map(String.init)
        if parts.first == "services", parts.count > 4 { return parts[3] }
        if parts.first == "Sources", parts.count > 2 { return parts[1] }
        return nil
    }

    /// Module -> the modules that its files import.
    static func imports() throws -> [String: Set<String>] {
        var graph: [String: Set<String>] = [:]
        for file in try swift(below: "Sources", "services") {
            guard let module = module(of: file) else { continue }
            for index in file.lines.indices {
                guard let imported = importedModule(file.code(at: index)) else { continue }
                graph[module, default: []].insert(imported)
            }
        }
        return graph
    }

    /// Everything that `module` imports, directly or not.
    static func closure(of module: String, in graph: [String: Set<String>]) -> Set<String> {
        var seen: Set<String> = []
        var queue = Array(graph[module] ?? [])
        while let next = queue.popLast() {
            guard seen.insert(next).inserted else { continue }
            queue += graph[next] ?? []
        }
        return seen
    }

    private static func importedModule(_ line: String) -> String? {
        var words = line.split(separator: " ").map(String.init)
        while let first = words.first, first.hasPrefix("@") || ["package", "internal", "private", "public"].contains(first) {
            words.removeFirst()
        }
        guard words.first == "import", words.count > 1 else { return nil }
        let name = ["struct", "class", "enum", "func", "protocol", "typealias"].contains(words[1]) ? words.last : words[1]
        return name?.split(separator: ".").first.map(String.init)
    }
}
