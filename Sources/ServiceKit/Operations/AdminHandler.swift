import Contracts
import Glibc
import RPCCore
import RPCTransport
import SwiftProtobuf

/// `lockstep.runtime.v1.AdminService`: what the process is doing at this moment. Reads alone.
struct AdminHandler: AdminServiceHandler {
    /// What is listed when nobody says how much, and at most.
    static let mostListed = 1000
    /// What is left of a call's time for its answer, when event loops are slow to answer theirs.
    static let margin = Duration.milliseconds(50)

    let process: String
    let started: ContinuousClock.Instant
    let inspector: ServerInspector

    func getProcess(_ request: RuntimeGetProcessRequest, _ context: CallContext) throws -> RuntimeGetProcessResponse {
        let summary = try summary
        let loops = loops(context)
        return .with {
            $0.process = process
            $0.pid = UInt32(clamping: getpid())
            $0.age = .init(started.duration(to: .now))
            $0.draining = summary.isDraining
            $0.connections = UInt32(clamping: summary.connections)
            $0.calls = UInt32(clamping: summary.calls)
            $0.eventLoops = loops.map(RuntimeEventLoopState.init)
            if let pool = summary.pool { $0.pool = RuntimePoolState(pool) }
            $0.limits = RuntimeProcessLimits(summary)
            $0.methods = summary.methods.filter { $0.running > 0 || $0.method.concurrency != nil }
                .map(RuntimeMethodLoad.init)
        }
    }

    func listConnections(
        _ request: RuntimeListConnectionsRequest, _ context: CallContext
    ) throws -> RuntimeListConnectionsResponse {
        let loops = loops(context)
        let listed = loops.flatMap(\.connections).sorted { ($0.age ?? .zero) > ($1.age ?? .zero) }
        return .with {
            $0.connections = listed.prefix(Self.count(request.limit)).map(RuntimeConnectionState.init)
            $0.total = UInt32(clamping: loops.reduce(0) { $0 + $1.connectionCount })
            $0.silentEventLoops = loops.silent
        }
    }

    func listCalls(_ request: RuntimeListCallsRequest, _ context: CallContext) throws -> RuntimeListCallsResponse {
        let summary = try summary
        let loops = loops(context)
        let listed = loops.flatMap(\.connections).flatMap(\.calls).sorted { $0.age > $1.age }
        return .with {
            $0.calls = listed.prefix(Self.count(request.limit)).map(RuntimeCallState.init)
            $0.total = UInt32(clamping: summary.calls)
            $0.silentEventLoops = loops.silent
        }
    }

    private var summary: ServerSummary {
        get throws {
            guard let summary = inspector.summary else {
                throw RPCError(.unavailable, "\(process) is not there any more.", processed: .no)
            }
            return summary
        }
    }

    private func loops(_ context: CallContext) -> [LoopReport] {
        let limit = min(ServerInspector.patience, context.deadline.remaining() - Self.margin)
        return inspector.loops(within: max(limit, .zero))
    }

    private static func count(_ asked: UInt32) -> Int { asked == 0 ? mostListed : min(Int(asked), mostListed) }
}

extension [LoopReport] {
    fileprivate var silent: UInt32 { UInt32(clamping: count { !$0.answers }) }
}
