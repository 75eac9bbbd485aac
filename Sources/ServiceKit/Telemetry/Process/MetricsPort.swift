import Logging
import Synchronization

/// A process's place for Prometheus, for as long as the process lives. One that is taken is tried again until it is free:
/// the process serves all the same, and what nobody answers there is what Prometheus reports first.
package final class MetricsPort: Sendable {
    private enum State {
        case closed
        case open(MetricsListener)
        case waiting(Task<Void, Never>)
    }

    /// Between two attempts.
    private static let pause = Duration.seconds(1)

    private let address: ListenAddress
    private let logger: Logger
    private let text: @Sendable () -> String
    private let state = Mutex(State.closed)

    init(_ address: ListenAddress, logger: Logger, text: @escaping @Sendable () -> String) {
        self.address = address
        self.logger = logger
        self.text = text
    }

    /// Listens, now or as soon as it can.
    func open() async {
        do {
            let listener = try await listen()
            state.withLock { $0 = .open(listener) }
        } catch {
            logger.event(.error, "no metrics", .path("address", address.description), .error(error))
            state.withLock { $0 = .waiting(Task { await self.tryAgain() }) }
        }
    }

    func close() async {
        let last = state.withLock { state in
            defer { state = .closed }
            return state
        }
        switch last {
        case .closed: break
        case .open(let listener): await listener.close()
        case .waiting(let wait):
            wait.cancel()
            await wait.value
            // It may have come to its end before it heard of this.
            await close(state.withLock { $0 })
        }
    }

    private func close(_ state: State) async {
        if case .open(let listener) = state { await listener.close() }
    }

    private func tryAgain() async {
        while (try? await Task.sleep(for: Self.pause)) != nil {
            guard let listener = try? await listen() else { continue }
            return state.withLock { $0 = .open(listener) }
        }
    }

    private func listen() async throws -> MetricsListener {
        let listener = try await MetricsListener.start(host: address.host, port: address.port, text: text)
        logger.event(.info, "serving metrics", .path("address", "http://\(listener.address)\(MetricsListener.path)"))
        return listener
    }
}
