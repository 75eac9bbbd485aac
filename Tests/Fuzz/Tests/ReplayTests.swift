import Foundation
import FuzzHTTP
import FuzzWire
import Testing

/// What fuzzing has found is kept, and played again: each file of `Corpus` and `Regressions`, by each target.
@Suite struct ReplayTests {
    static let targets: [FuzzTarget] = [.frames, .server, .client, .http]
    static let names = targets.map(\.name)

    private static func target(_ name: String) throws -> FuzzTarget {
        try #require(targets.first { $0.name == name })
    }

    private static func inputs(_ folder: String, _ name: String) throws -> [(file: String, bytes: [UInt8])] {
        let base = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = base.appending(path: "\(folder)/\(name)")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { file in
            (file, Array(try Data(contentsOf: folder.appending(path: file))))
        }
    }

    @Test(arguments: names, ["Corpus", "Regressions"])
    func whatWasKeptStaysGood(_ name: String, _ folder: String) throws {
        let target = try Self.target(name)
        let inputs = try Self.inputs(folder, name)
        #expect(!inputs.isEmpty)
        for (file, bytes) in inputs {
            do throws(BrokenPromise) {
                try target.run(bytes, .none)
            } catch {
                Issue.record("\(folder)/\(name)/\(file): \(error)")
            }
        }
    }

    /// The promises can be broken: the input that found the planted fault finds it again.
    @Test(arguments: names)
    func thePlantedFaultIsSeen(_ name: String) throws {
        let target = try Self.target(name)
        let input = try #require(try Self.inputs("Regressions", name).first { $0.file == "planted" })
        #expect(throws: BrokenPromise.self) { try target.run(input.bytes, .planted) }
    }
}
