import Contracts
import RPCCore
import RPCTransport

/// What every process hosts beside its own services: health, reflection and admin.
struct Operations {
    let process: String
    let health: HealthBook
    let inspector = ServerInspector()
    let started = ContinuousClock.now

    /// For a process of either class.
    func hostedByBoth(with services: [ServiceDescriptor]) -> [any SyncServiceHandler] {
        let own = [HealthServiceContract.service, ReflectionServiceContract.service, AdminServiceContract.service]
        let all = services + own
        health.host(all.map(\.name))
        return [
            HealthHandler(process: process, book: health), ReflectionHandler(process: process, services: all),
            AdminHandler(process: process, started: started, inspector: inspector),
        ]
    }

    /// For an ASYNC process alone.
    var asyncHandlers: [any AsyncServiceHandler] { [HealthWatchHandler(process: process, book: health)] }
}
