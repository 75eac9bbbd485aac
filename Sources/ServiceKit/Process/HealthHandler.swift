import Contracts
import RPCCore
import Synchronization

/// Whether the process has begun to stop.
final class DrainFlag: Sendable {
    private let raised = Atomic<Bool>(false)

    var isDraining: Bool { raised.load(ordering: .acquiring) }

    func raise() { raised.store(true, ordering: .releasing) }
}

/// `lockstep.runtime.v1.HealthService`.
struct HealthHandler: HealthServiceHandler {
    let service: String
    let drain: DrainFlag

    func check(_ request: RuntimeCheckRequest, _ context: CallContext) throws -> RuntimeCheckResponse {
        var response = RuntimeCheckResponse()
        response.service = service
        response.state = drain.isDraining ? .draining : .serving
        return response
    }
}
