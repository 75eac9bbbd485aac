import Contracts
import RPCCore

/// `lockstep.runtime.v1.HealthService`.
struct HealthHandler: HealthServiceHandler {
    let process: String
    let book: HealthBook

    func check(_ request: RuntimeCheckRequest, _ context: CallContext) throws -> RuntimeCheckResponse {
        try book.snapshot().answer(process: process, service: request.name)
    }
}

/// `lockstep.runtime.v1.HealthWatchService`.
struct HealthWatchHandler: HealthWatchServiceHandler {
    let process: String
    let book: HealthBook

    func watch(
        _ request: RuntimeWatchRequest, _ responses: MessageWriter<RuntimeWatchResponse>, _ context: CallContext
    ) async throws {
        var last: HealthSnapshot?
        for await _ in book.changes() {
            let now = book.snapshot()
            guard now != last else { continue }
            last = now
            let health = try now.answer(process: process, service: request.name)
            try await responses.write(.with { $0.health = health })
            // Nobody is to wait here for a process that stops.
            if now.isDraining { return }
        }
        try Task.checkCancellation()
    }
}

extension HealthSnapshot {
    /// - Parameter service: The one that is asked for; empty for the process.
    /// - Throws: NOT_FOUND when the process does not host it.
    func answer(process: String, service: String) throws -> RuntimeCheckResponse {
        guard service.isEmpty || names.contains(service) else {
            throw RPCError(.notFound, "\(process) hosts no such service.", reason: "service_not_hosted")
        }
        let asked = service.isEmpty ? names : [service]
        return .with {
            $0.service = process
            $0.state = state(of: asked)
            $0.services = asked.map(health)
        }
    }

    private func state(of asked: [String]) -> RuntimeCheckResponse.State {
        if isDraining { return .draining }
        return asked.contains { troubles[$0] != nil } ? .notServing : .serving
    }

    private func health(of name: String) -> RuntimeServiceHealth {
        .with {
            $0.name = name
            $0.state = state(of: [name])
            $0.reason = troubles[name] ?? ""
        }
    }
}
