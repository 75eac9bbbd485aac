import Foundation
import ServiceKit
import Synchronization

/// Says who is ready, who is waited for, and who is ready again after it was started anew.
final class Announcer: Sendable {
    /// After so long whoever is not ready yet is named, and again each time as much has passed.
    private static let patience = Duration.seconds(10)

    private struct State {
        var announced: Set<ServiceName> = []
        var waits: [ServiceName: Task<Void, Never>] = [:]
        var hasStopped = false
    }

    private let console: Console
    private let readiness: Readiness
    private let state = Mutex(State())

    init(_ console: Console, _ readiness: Readiness) { (self.console, self.readiness) = (console, readiness) }

    /// Waits for all of them at once, and says where the system is when they are ready.
    func start() async {
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for service in Executables.order {
                group.addTask { [self] in
                    if await wait(for: service, "is ready") { state.withLock { _ = $0.announced.insert(service) } }
                }
            }
        }
        guard state.withLock({ !$0.hasStopped && $0.announced.count == Executables.order.count }) else { return }
        if let metrics = try? readiness.settings.metricsAddresses, !metrics.isEmpty {
            let places = metrics.map { "\($0.service.rawValue) http://\($0.address)/metrics" }
            console.say("metrics: \(places.joined(separator: ", "))")
        }
        guard let address = try? readiness.settings.gatewayAddress else { return }
        let seconds = start.duration(to: .now).components.seconds
        console.say("ready after \(seconds) s: https://\(address)")
    }

    /// A service has ended and is started anew. One that was never ready is waited for as it is, and each once, however often it ends.
    func restarts(_ name: String) {
        guard let service = ServiceName(rawValue: name) else { return }
        state.withLock { state in
            guard !state.hasStopped, state.announced.contains(service), state.waits[service] == nil else { return }
            state.waits[service] = Task { [self] in
                _ = await wait(for: service, "is ready again")
                self.state.withLock { $0.waits[service] = nil }
            }
        }
    }

    /// The services are told to end: nobody is waited for any more. False when they were before.
    @discardableResult
    func stop() -> Bool {
        let (waits, isFirst) = state.withLock { state in
            defer { state.hasStopped = true }
            return (Array(state.waits.values), !state.hasStopped)
        }
        for wait in waits { wait.cancel() }
        return isFirst
    }

    /// False when it is not waited for any more, or cannot be.
    private func wait(for service: ServiceName, _ news: String) async -> Bool {
        let impatience = Task { [self] in
            for round in 1... {
                try await Task.sleep(for: Self.patience)
                guard !state.withLock(\.hasStopped) else { return }
                let seconds = round * Int(Self.patience.components.seconds)
                console.say("\(service.rawValue) is not ready after \(seconds) s; its own lines, if any, say why")
            }
        }
        defer { impatience.cancel() }
        do {
            try await readiness.wait(for: service)
        } catch is CancellationError {
            return false
        } catch {
            console.say("cannot ask \(service.rawValue) whether it is ready: \(error)")
            return false
        }
        guard !state.withLock(\.hasStopped) else { return false }
        console.say("\(service.rawValue) \(news)")
        return true
    }
}
