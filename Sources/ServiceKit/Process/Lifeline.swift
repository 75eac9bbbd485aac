import Foundation
import Glibc

/// Ties a service to the process that started it: when that one is gone, however it went, the service stops too.
///
/// The parent keeps the writing end of the service's standard input open; the end of the input means that it is gone.
package enum Lifeline {
    /// The variable by which a parent asks for it.
    package static let variable = "LOCKSTEP_LIFELINE"
    package static let value = "stdin"

    /// Asks this process to end, as SIGTERM would, when its parent is gone, if the parent wants that.
    static func hold(_ environment: [String: String]) {
        guard environment[variable] == value else { return }
        watch(STDIN_FILENO) { kill(getpid(), SIGTERM) }
    }

    /// Calls `end` once the descriptor's other end is closed. What comes before is ignored.
    static func watch(_ descriptor: Int32, then end: @escaping @Sendable () -> Void) {
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(descriptor, &byte, 1)
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            end()
        }
    }
}
