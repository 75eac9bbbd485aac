import RPCClient
import RPCCore
import RPCTransport

/// Makes the second hop of a call: to another server, as this one.
final class Forwarder: Sendable {
    private let tls: TLSIdentity

    init(tls: TLSIdentity) { self.tls = tls }

    /// - Returns: What the other server's handler has seen.
    func call(_ forward: ConformanceForward, _ context: CallContext) async throws -> ConformanceSeen {
        let pool = try ClientPool(
            service: forward.service, host: forward.host, port: Int(forward.port), tls: tls,
            options: ClientOptions(connections: 1))
        let answer = await Self.answer(pool, forward.next, context)
        await pool.shutdown()
        return try answer.get().seen
    }

    private static func answer(
        _ pool: ClientPool, _ plan: ConformancePlan, _ context: CallContext
    ) async -> Result<ConformanceResponse, RPCError> {
        do throws(RPCError) {
            let request = ConformanceRequest.with { $0.plan = plan }
            return .success(try await ConformanceServiceClient(pool).unary(request, context.outgoing()))
        } catch {
            return .failure(error)
        }
    }
}
