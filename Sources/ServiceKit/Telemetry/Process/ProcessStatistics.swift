import FoundationEssentials
import Glibc

/// What the kernel says of this process.
package struct ProcessStatistics: Sendable, Hashable {
    /// User and system, all threads, seconds.
    package let cpuSeconds: Double
    package let residentBytes: Int
    package let threads: Int
    package let openDescriptors: Int
    package let maximumDescriptors: Int
    /// Cores that the process may use.
    package let cores: Int

    /// Reads `/proc/self`; what cannot be read is zero.
    package init() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        cpuSeconds = usage.ru_utime.seconds + usage.ru_stime.seconds
        let status = Self.status()
        residentBytes = (status["VmRSS"] ?? 0) * 1024
        threads = status["Threads"] ?? 0
        openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        maximumDescriptors = Int(clamping: limit.rlim_cur)
        cores = max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1)
    }

    /// Bytes of `/proc/self/status` that are read: several times what it has.
    private static let longestStatus = 16_384

    /// The numbers of `/proc/self/status`, by name.
    private static func status() -> [String: Int] {
        // The kernel makes it up while it is read: it has no size to go by.
        guard let file = fopen("/proc/self/status", "r") else { return [:] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: longestStatus)
        let count = fread(&bytes, 1, bytes.count, file)
        var numbers: [String: Int] = [:]
        for line in String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n") {
            let parts = line.split { $0 == ":" || $0 == "\t" || $0 == " " }
            guard parts.count > 1, let number = Int(parts[1]) else { continue }
            numbers[String(parts[0])] = number
        }
        return numbers
    }
}

extension timeval {
    fileprivate var seconds: Double { Double(tv_sec) + Double(tv_usec) / 1e6 }
}
