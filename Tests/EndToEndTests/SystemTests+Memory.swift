import Foundation
import Testing

/// What the five processes keep in memory stays there.
extension SystemTests {
    /// What `/proc/PID/limits` says: soft and hard.
    private func coreLimits(of pid: Int32) throws -> [Substring] {
        let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8).split(separator: "\n")
        let line = try #require(limits.first { $0.hasPrefix("Max core file size") })
        return Array(line.dropFirst("Max core file size".count).split(separator: " ").prefix(2))
    }

    @Test("ASVS 13.3.1: no process leaves its memory in a core file", .enabled(if: RunningSystem.hasRoomForCores, "nobody may"))
    func noCoreDumps() throws {
        let system = try system
        // Whoever starts them may have core dumps: that they have none is their own doing.
        #expect(try coreLimits(of: system.supervisorID)[0] != "0")
        for service in RunningSystem.services {
            let pid = try #require(try system.pid(of: service), "\(service) has no pid")
            #expect(try coreLimits(of: pid) == ["0", "0"], "\(service)")
            // What may not be dumped belongs to root (proc(5)), whoever runs it.
            let owner = try FileManager.default.attributesOfItem(atPath: "/proc/\(pid)/environ")[.ownerAccountID] as? Int
            #expect(owner == 0, "\(service)")
        }
    }

    @Test("ASVS 13.3.3: encryption's master key is in a locked page", .enabled(if: geteuid() == 0, "only root may look"))
    func oneLockedPage() throws {
        let pid = try #require(try system.pid(of: "encryption"))
        // Of a file without a size Foundation reads the first part alone.
        let all = try FileHandle(forReadingFrom: URL(filePath: "/proc/\(pid)/smaps")).readToEnd() ?? Data()
        let lines = String(decoding: all, as: UTF8.self).split(separator: "\n")
        let flags = lines.filter { $0.hasPrefix("VmFlags:") }.map { Set($0.split(separator: " ").dropFirst()) }
        let locked = flags.filter { $0.contains("lo") }
        #expect(locked.count == 1)
        #expect(locked.allSatisfy { $0.isSuperset(of: ["dd", "wf"]) }, "\(locked)")
    }
}
