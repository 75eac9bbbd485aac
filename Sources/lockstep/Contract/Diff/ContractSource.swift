import Foundation

/// Where a contract is read from: a descriptor set, a folder of .proto files, or a git revision.
enum ContractSource: Hashable {
    case descriptors(String)
    case folder(String)
    /// - Parameter folder: Relative to the repository's root.
    case revision(String, folder: String)

    static let defaultFolder = "Protocols"

    /// What exists is a file or a folder; anything else is taken for a revision.
    init(_ argument: String) {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: argument, isDirectory: &isFolder) {
            self = isFolder.boolValue ? .folder(argument) : .descriptors(argument)
        } else {
            let parts = argument.split(separator: ":", maxSplits: 1).map(String.init)
            self = .revision(parts.first ?? "", folder: parts.count > 1 ? parts[1] : Self.defaultFolder)
        }
    }

    /// A serialized `FileDescriptorSet` with source information and all imports.
    /// - Parameter repository: A folder of the git repository that revisions are of.
    /// - Throws: `CommandFailure`.
    func descriptorSet(repository: String = ".") throws -> [UInt8] {
        switch self {
        case .descriptors(let path): try Self.read(path)
        case .folder(let path): try ScratchFolder.with { try Self.compiled(path, scratch: $0) }
        case .revision(let revision, let folder):
            try ScratchFolder.with { scratch in
                let git = Git(repository: repository, revision: revision)
                return try Self.compiled(try git.extract(folder, into: scratch), scratch: scratch)
            }
        }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("\(path) cannot be read.", status: 65)
        }
        return Array(data)
    }

    private static func compiled(_ folder: String, scratch: URL) throws -> [UInt8] {
        let names = FileManager.default.enumerator(atPath: URL(fileURLWithPath: folder).resolvingSymlinksInPath().path)?
            .compactMap { $0 as? String }.filter { $0.hasSuffix(".proto") }.sorted() ?? []
        guard !names.isEmpty else { throw CommandFailure("\(folder) holds no .proto files.", status: 65) }
        let output = scratch.appending(path: "contract.pb").path
        try Tool.run(
            "protoc",
            ["-I", folder, "--include_imports", "--include_source_info", "--descriptor_set_out=\(output)"] + names)
        return try read(output)
    }
}

/// One state of a git repository.
private struct Git {
    let repository: String
    let revision: String

    /// - Returns: Where the folder's files are now.
    func extract(_ folder: String, into scratch: URL) throws -> String {
        let root = try Tool.run("git", ["-C", repository, "rev-parse", "--show-toplevel"])
        let commit = try Tool.run(
            "git", ["-C", root, "rev-parse", "--verify", "--quiet", "--end-of-options", "\(revision)^{commit}"]
        ) { "\"\(revision)\" is neither a file, a folder nor a git revision." }
        let tree = scratch.appending(path: "tree")
        let archive = scratch.appending(path: "tree.tar").path
        try FileManager.default.createDirectory(at: tree, withIntermediateDirectories: true)
        try Tool.run("git", ["-C", root, "archive", "--format=tar", "--output=\(archive)", "\(commit):\(folder)"])
        try Tool.run("tar", ["-xf", archive, "-C", tree.path])
        return tree.path
    }
}

/// A folder that is gone when its work is done.
private enum ScratchFolder {
    static func with<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "lockstep-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }
}
