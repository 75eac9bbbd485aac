import Glibc

/// What to run.
package struct ChildSpecification: Sendable {
    package let name: String
    /// The program's path.
    package let program: String
    package let arguments: [String]
    package let environment: [String: String]

    package init(name: String, program: String, arguments: [String] = [], environment: [String: String]) {
        self.name = name
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }
}

/// Why a process could not be started.
package struct SpawnError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

/// A process of ours, in a process group of its own: signals of the terminal reach it through us alone.
struct ChildProcess {
    let pid: pid_t
    /// The reading end of its standard output and error.
    let output: Int32
    /// The writing end of its standard input. It closes when this process ends, however it ends: whoever reads sees it.
    let lifeline: Int32

    init(_ specification: ChildSpecification) throws(SpawnError) {
        let input = try Self.pipe()
        let output: (read: Int32, write: Int32)
        do {
            output = try Self.pipe()
        } catch {
            close(input.read)
            close(input.write)
            throw error
        }
        defer {
            close(input.read)
            close(output.write)
        }
        do {
            pid = try Self.spawn(specification, input: input.read, output: output.write)
        } catch {
            close(input.write)
            close(output.read)
            throw error
        }
        self.output = output.read
        self.lifeline = input.write
    }

    /// Sends a signal to the process and what it has started.
    func signal(_ number: Int32) { kill(-pid, number) }

    /// Waits for the end. Once, on a thread that may wait.
    static func wait(for pid: pid_t) -> Termination {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return .exited(-1) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signaled(signal)
    }

    private static func pipe() throws(SpawnError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw SpawnError(description: "no pipe: \(text(errno))") }
        // No child may hold another one's pipe open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(_ child: ChildSpecification, input: Int32, output: Int32) throws(SpawnError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
        var attributes = Self.attributes()
        defer { posix_spawnattr_destroy(&attributes) }
        var arguments = ([child.program] + child.arguments).map { strdup($0) } + [nil]
        var variables = child.environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, child.program, &actions, &attributes, &arguments, &variables)
        guard result == 0 else { throw SpawnError(description: "\(child.program): \(text(result))") }
        return pid
    }

    /// A group of its own, no blocked and no ignored signals: what we ignore must still end the child.
    private static func attributes() -> posix_spawnattr_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setpgroup(&attributes, 0)
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        return attributes
    }

    private static func text(_ number: Int32) -> String { String(cString: strerror(number)) }
}
