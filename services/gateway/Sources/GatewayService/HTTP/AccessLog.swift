package import Logging
import RPCCore
import ServiceKit

/// One line for each request: the method's name in the contract, the outcome, the time. Never a path, a query, an
/// address or anything else that a client wrote, its own request id excepted, which is checked.
package struct AccessLog: Sendable {
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    func record(
        _ endpoint: Endpoint?, status: Int, code: String?, lane: Lane = .routine, requestID: String,
        trace: TraceContext?, took: Duration
    ) {
        var fields: [LogField] = [.requestID(requestID), .count("status", status), .duration("took", took)]
        switch endpoint {
        case .route(let route)?: fields.append(.method(route.method))
        case .builtIn(let builtIn)?: fields.append(.path("route", builtIn.rawValue))
        case nil: break
        }
        if lane == .emergency { fields.append(.word("lane", "emergency")) }
        if let trace { fields.append(.id("trace_id", trace.traceID.description)) }
        if let code { fields.append(.id("problem", code)) }
        logger.event(Self.level(endpoint, status), "request", fields)
    }

    /// Why an answer is 500: what the client is not told.
    func failure(_ error: RPCError, calling method: MethodDescriptor, requestID: String) {
        guard StatusTable.status(of: error.code) >= 500 else { return }
        logger.event(.warning, "call failed", .requestID(requestID), .method(method), .code(error.code), .error(error))
    }

    /// What is missing now, when that has changed: names of processes and of the gateway's own parts.
    func readiness(missing: [String]) {
        guard !missing.isEmpty else { return logger.event(.notice, "ready again") }
        logger.event(.warning, "not ready", .path("missing", missing.joined(separator: ", ")))
    }

    private static func level(_ endpoint: Endpoint?, _ status: Int) -> Logger.Level {
        // An orchestrator asks every second: `readiness` tells what it is told, once.
        if case .builtIn? = endpoint, status != 500 { return .debug }
        return status == 500 ? .error : .info
    }
}
