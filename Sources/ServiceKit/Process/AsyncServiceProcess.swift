import FoundationEssentials
import Glibc
package import RPCCore
package import RPCTransport
package import ServiceLifecycle

/// The parts of an ASYNC service.
package struct AsyncParts: Sendable {
    /// None for a process that hosts no RPC service.
    package let handlers: [any AsyncServiceHandler]
    /// Where a process listens whose `listen` address speaks something else; without it and without handlers there is no
    /// RPC listener.
    package let operations: ListenAddress?
    /// Workers. They start behind the server and are told to stop once it has drained.
    package let background: [any Service]
    /// What is closed when everything has stopped: client pools, databases.
    package let cleanup: @Sendable () async -> Void

    package init(
        handlers: [any AsyncServiceHandler], operations: ListenAddress? = nil, background: [any Service] = [],
        cleanup: @escaping @Sendable () async -> Void = {}
    ) {
        self.handlers = handlers
        self.operations = operations
        self.background = background
        self.cleanup = cleanup
    }
}

/// A process that hosts ASYNC services.
package struct AsyncServiceProcess: Sendable {
    private let table: ConfigTable
    private let compose: @Sendable (ServiceEnvironment) async throws -> AsyncParts

    /// - Parameter compose: Builds the service: the one place where files are opened and parts are put together.
    package init(table: ConfigTable, compose: @escaping @Sendable (ServiceEnvironment) async throws -> AsyncParts) {
        self.table = table
        self.compose = compose
    }

    /// Runs until SIGTERM or SIGINT and ends the process: 0 after a drain, 78 when configuration has to change before a
    /// start can work, 1 otherwise, with what went wrong on standard error.
    package func main() async -> Never {
        let variables = ProcessInfo.processInfo.environment
        do { try CoreDumps.forbid() } catch { LastWords.exit(table.service, error) }
        Heap.keepLargeBlocks()
        Lifeline.hold(variables)
        // Until the certificate watch listens; what it would read is read at the start anyway.
        signal(SIGHUP, SIG_IGN)
        do {
            try await run(environment: variables)
        } catch {
            LastWords.exit(table.service, error)
        }
        StandardErrorOutput.shared.flush()
        exit(ExitStatus.success)
    }

    /// Runs until a signal or until the task is cancelled.
    ///
    /// - Parameter ready: Called once the process serves, with its RPC address if it has one.
    package func run(
        environment variables: [String: String], output: any LogOutput = StandardErrorOutput.shared,
        ready: @Sendable (BoundAddress?) -> Void = { _ in }
    ) async throws {
        let environment = try ServiceEnvironment.load(table, environment: variables, output: output)
        let parts = try await compose(environment)
        do {
            let runner = ProcessRunner(environment: environment)
            try await runner.run(server: server(parts, runner), background: parts.background, ready: ready)
        } catch {
            await parts.cleanup()
            throw error
        }
        await parts.cleanup()
    }

    private func server(_ parts: AsyncParts, _ runner: ProcessRunner) throws -> AsyncServer? {
        guard !parts.handlers.isEmpty || parts.operations != nil else { return nil }
        var options = try runner.serverOptions
        if let address = parts.operations { (options.host, options.port) = (address.host, address.port) }
        let handlers = parts.handlers + runner.operations.asyncHandlers
        return try AsyncServer(
            handlers: handlers,
            hostedByBoth: runner.operations.hostedByBoth(with: handlers.map { type(of: $0).contract }),
            tls: runner.environment.tls, users: runner.users, observer: runner.observer,
            options: options)
    }
}
