import Dispatch
import FoundationEssentials
import Glibc
package import RPCCore
package import RPCTransport

/// The parts of a SYNC service.
package struct SyncParts: Sendable {
    package let handlers: [any SyncServiceHandler]
    /// Ends what the service runs beside its handlers, such as a thread that owns writes.
    package let stop: @Sendable () -> Void

    package init(handlers: [any SyncServiceHandler], stop: @escaping @Sendable () -> Void = {}) {
        self.handlers = handlers
        self.stop = stop
    }
}

/// A process that hosts SYNC services. It has no way to call out.
package struct SyncServiceProcess: Sendable {
    private let table: ConfigTable
    private let compose: @Sendable (ServiceEnvironment) throws -> SyncParts

    /// - Parameter compose: Builds the service: the one place where files are opened and parts are put together.
    package init(table: ConfigTable, compose: @escaping @Sendable (ServiceEnvironment) throws -> SyncParts) {
        self.table = table
        self.compose = compose
    }

    /// Runs until SIGTERM or SIGINT and ends the process: 0 after a drain, 78 when configuration has to change before a
    /// start can work, 1 otherwise, with what went wrong on standard error.
    ///
    /// Not `async`, so that a SYNC service has no suspension anywhere in its own sources.
    package func main() -> Never {
        let variables = ProcessInfo.processInfo.environment
        do { try CoreDumps.forbid() } catch { LastWords.exit(table.service, error) }
        Heap.keepLargeBlocks()
        Lifeline.hold(variables)
        // Until the certificate watch listens; what it would read is read at the start anyway.
        signal(SIGHUP, SIG_IGN)
        Task {
            do {
                try await run(environment: variables)
            } catch {
                LastWords.exit(table.service, error)
            }
            StandardErrorOutput.shared.flush()
            exit(ExitStatus.success)
        }
        dispatchMain()
    }

    /// Runs until a signal or until the task is cancelled.
    ///
    /// - Parameter ready: Called with the address once the process serves.
    package func run(
        environment variables: [String: String], output: any LogOutput = StandardErrorOutput.shared,
        ready: @Sendable (BoundAddress?) -> Void = { _ in }
    ) async throws {
        let environment = try ServiceEnvironment.load(table, environment: variables, output: output)
        let parts = try compose(environment)
        defer { parts.stop() }
        let runner = ProcessRunner(environment: environment)
        let operations = runner.operations.hostedByBoth(with: parts.handlers.map { type(of: $0).contract })
        let server = try SyncServer(
            handlers: parts.handlers + operations, tls: environment.tls, users: runner.users,
            observer: runner.observer, options: runner.serverOptions)
        try await runner.run(server: server, background: [], ready: ready)
    }
}
