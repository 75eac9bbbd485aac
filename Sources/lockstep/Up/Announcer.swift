import Foundation
import ServiceKit
import Synchronization

/// Says who is ready, who is waited for, and who is ready again after it was started anew.
final class Announcer: Sendable {
    /// After so long whoever is not ready yet is named, and again each time as much has passed.
    private static let patience = Duration.seconds(10)

    private let console: Console
    private let readiness: Readiness
    /// Services that were started anew and are waited for: each once, however often they end before they are ready.
    private let restarted = Mutex<[ServiceName: Task<Void, Never>]>([:])

    init(_ console: Console, _ readiness: Readiness) { (self.console, self.readiness) = (console, readiness) }

    /// Says who is ready, and at the end where the system is.
    func start() async {
        let start = ContinuousClock.now
        for service in Executables.order {
            guard await wait(for: service, "is ready") else { return }
        }
        if let metrics = try? readiness.settings.metricsAddresses, !metrics.isEmpty {
            let places = metrics.map { "\($0.service.rawValue) http://\($0.address)/metrics" }
            console.say("metrics: \(places.joined(separator: ", "))")
        }
        guard let address = try? readiness.settings.gatewayAddress else { return }
        let seconds = start.duration(to: .now).components.seconds
        console.say("ready after \(seconds) s: https://\(address)")
    }

    /// A service has ended and is started anew.
    func restarts(_ name: String) {
        guard let service = ServiceName(rawValue: name) else { return }
        restarted.withLock { waiting in
            guard waiting[service] == nil else { return }
            waiting[service] = Task { [self] in
                _ = await wait(for: service, "is ready again")
                restarted.withLock { $0[service] = nil }
            }
        }
    }

    /// Nobody is waited for any more.
    func stop() { for task in restarted.withLock({ Array($0.values) }) { task.cancel() } }

    /// False when it cannot be waited for.
    private func wait(for service: ServiceName, _ news: String) async -> Bool {
        let impatience = Task { [console] in
            for round in 1... {
                try await Task.sleep(for: Self.patience)
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
        console.say("\(service.rawValue) \(news)")
        return true
    }
}
