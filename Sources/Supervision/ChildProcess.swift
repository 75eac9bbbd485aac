internal import CLinux
internal import Glibc

/// What to run.
package struct ChildSpecification: Sendable {
    package let name: String
    /// The program's path.
    package let program: String
    package let arguments: [String]
    package let environment: [String: String]
    /// Whether it gets what this process has open and has not said to close: a master key may come that way.
    package let inheritsDescriptors: Bool

    package init(
        name: String, program: String, arguments: [String] = [], environment: [String: String], inheritsDescriptors: Bool = true
    ) {
        self.inheritsDescriptors = inheritsDescriptors
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
///
/// Many may be started at once, by threads that know nothing of one another: none of them holds another one's pipes open.
package struct ChildProcess: Sendable {
    package let pid: Int32
    /// The reading end of its standard output, and of its standard error unless that is apart.
    package let output: Int32
    /// The reading end of its standard error, where that is apart.
    package let errors: Int32?
    /// The writing end of its standard input. It closes when this process ends, however it ends: whoever reads sees it.
    package let lifeline: Int32

    /// - Parameter keepsErrorsApart: Whether standard error has a pipe of its own.
    package init(_ specification: ChildSpecification, keepsErrorsApart: Bool = false) throws(SpawnError) {
        var pipes: [(read: Int32, write: Int32)] = []
        do throws(SpawnError) {
            for _ in 0..<(keepsErrorsApart ? 3 : 2) { pipes.append(try Self.pipe()) }
            let (input, output, errors) = (pipes[0], pipes[1], pipes[pipes.count - 1])
            pid = try Self.spawn(specification, input: input.read, output: output.write, errors: errors.write)
            (lifeline, self.output, self.errors) = (input.write, output.read, keepsErrorsApart ? errors.read : nil)
            for end in [input.read] + pipes.dropFirst().map(\.write) { close(end) }
        } catch {
            for end in pipes.flatMap({ [$0.read, $0.write] }) { close(end) }
            throw error
        }
    }

    /// Sends a signal to the process and what it has started.
    package func signal(_ number: Int32) { kill(-pid, number) }

    /// Waits for the end. Once, on a thread that may wait.
    package static func wait(for pid: Int32) -> Termination {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { return .exited(-1) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signaled(signal)
    }

    private static func pipe() throws(SpawnError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        // No child may hold another one's pipe open, not even one that is started at this moment.
        guard lockstep_pipe(&ends) == 0 else { throw SpawnError(description: "no pipe: \(text(errno))") }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ child: ChildSpecification, input: Int32, output: Int32, errors: Int32
    ) throws(SpawnError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        guard child.inheritsDescriptors || lockstep_close_all_but_standard(&actions) == 0 else {
            throw SpawnError(description: "\(child.program): no memory to start it")
        }
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
