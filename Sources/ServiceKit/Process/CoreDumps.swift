import CLinux
import Glibc

/// Keeps what a process has in memory, keys and passwords among it, out of files.
package enum CoreDumps {
    /// Forbids core dumps of this process and of what it starts, and lets no other process of the same user look into it.
    ///
    /// Both are needed: the limit of 0 counts for files alone, and not where `core_pattern` names a program (core(5)); and it is
    /// inherited, which the other is not.
    ///
    /// - Throws: `StartError.coreDumps`.
    package static func forbid() throws {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        guard setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0, hide() else {
            throw StartError.coreDumps(String(cString: strerror(errno)))
        }
    }

    static func hide() -> Bool { lockstep_set_dumpable(0) == 0 }
}
