import Glibc
import ServiceKit
import Synchronization

/// One `lockstep up` for each state directory: a second one would only fight the first for ports and databases. The
/// kernel lets go when the process ends, however it ends.
final class StateLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `CommandFailure` when another process has it.
    init(directory: String) throws {
        let path = "\(directory)/up.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 || errno != ENOENT else {
            throw CommandFailure(
                "There is no state directory \(directory). Run this where it is, or name it with --state; `lockstep certs` makes a "
                    + "new one, with the certificates that the services need.", status: ExitStatus.configuration)
        }
        guard descriptor >= 0 else {
            throw CommandFailure("\(path) cannot be opened: \(String(cString: strerror(errno))).", status: EX_CANTCREAT)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw CommandFailure(
                "Lockstep is running already with this state directory (\(directory)). Use it, or stop it first; "
                    + "--state takes another directory.", status: EX_TEMPFAIL)
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}
