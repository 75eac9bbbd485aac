internal import Glibc

/// Wakes a thread that waits for a socket: something else wants it to look.
final class Wakeup: Sendable {
    private let reading: CInt
    private let writing: CInt

    /// - Throws: `SQLError` of kind `.unavailable` when there are no more descriptors.
    init() throws {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw SQLError(.unavailable, "cannot watch a connection: \(String(cString: strerror(errno)))")
        }
        reading = ends[0]
        writing = ends[1]
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// A full pipe wakes as well as one more byte in it would.
    func wake() {
        var one: UInt8 = 1
        _ = write(writing, &one, 1)
    }

    /// Forgets what came so far.
    private func clear() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reading, &bytes, bytes.count) == bytes.count {}
    }

    enum Event {
        case socket
        case woken
        case time
    }

    /// Waits for a socket, a call of `wake` or the time, whichever comes first.
    ///
    /// - Parameters:
    ///   - socket: -1 for none.
    ///   - writing: whether room to write counts, too.
    func wait(for socket: CInt, writing: Bool = false, until limit: ContinuousClock.Instant) -> Event {
        var files = [
            pollfd(fd: reading, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN) | (writing ? Int16(POLLOUT) : 0), revents: 0),
        ]
        // Rounded up, so that the time has come when this says so.
        let rest = min(max(0, ContinuousClock.now.duration(to: limit).nanoseconds + 999_999) / 1_000_000, 3_600_000)
        guard poll(&files, socket < 0 ? 1 : 2, CInt(rest)) > 0 else { return .time }
        if files[0].revents != 0 {
            clear()
            return .woken
        }
        return .socket
    }
}
