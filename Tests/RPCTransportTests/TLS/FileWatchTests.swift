import Foundation
import RPCTransport
import TestSupport
import Testing

/// When files that change are read again.
struct FileWatchTests {
    private typealias Stamp = TLSFileWatch.Stamp

    private func stamp(_ changed: Int64) -> Stamp { Stamp(device: 1, inode: 2, size: 3, changed: changed) }

    /// Each look: what the three files look like (0: not there), and whether they are read.
    private static let looks: [(files: [Int64], reads: Bool)] = [
        ([1, 1, 1], false), ([1, 1, 1], true), ([1, 1, 1], false), ([2, 1, 1], false), ([2, 2, 1], false),
        ([2, 2, 1], true), ([2, 2, 1], false), ([2, 2, 0], false), ([2, 2, 0], true), ([2, 2, 0], false),
        ([2, 2, 3], false), ([2, 2, 3], true), ([2, 2, 4], false), ([2, 2, 3], false), ([2, 2, 3], false),
    ]

    @Test("A change is read once, when it has stood still for a look")
    func settles() {
        var watch = TLSFileWatch()
        for (index, look) in Self.looks.enumerated() {
            let stamps = look.files.map { $0 == 0 ? nil : stamp($0) }
            #expect(watch.look(stamps) == look.reads, "look \(index)")
        }
    }

    @Test("What somebody has asked for is not read a second time")
    func forced() {
        var watch = TLSFileWatch()
        watch.force([stamp(1)])
        let looks = [1, 2, 2].map { watch.look([stamp($0)]) }
        #expect(looks == [false, false, true])
    }

    @Test("A file that is replaced, rewritten or removed looks different")
    func stamps() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("a.pem")
        let files = TLSFiles(certificate: file, key: file, authority: file)
        #expect(files.stamps == [nil, nil, nil])
        try Data("one".utf8).write(to: URL(filePath: file))
        let first = files.stamps
        #expect(first[0] != nil && first == files.stamps)
        try Data("longer".utf8).write(to: URL(filePath: file))
        let second = files.stamps
        #expect(second != first)
        try Data("LONGER".utf8).write(to: URL(filePath: file), options: .atomic)
        #expect(files.stamps != second)
    }
}
