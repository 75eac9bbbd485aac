import Contracts
import RPCCore
import RPCTransport
import SwiftProtobuf

// What the transport reports, as the contract's messages.

extension RuntimeEventLoopState {
    init(_ loop: LoopReport) {
        self.init()
        number = UInt32(clamping: loop.number)
        answers = loop.answers
        delay = .init(loop.delay)
        connections = UInt32(clamping: loop.connectionCount)
        calls = UInt32(clamping: loop.calls)
    }
}

extension RuntimePoolState {
    init(_ pool: PoolReport) {
        self.init()
        workers = UInt32(clamping: pool.workers)
        running = UInt32(clamping: pool.running)
        waitingRoutine = UInt32(clamping: pool.waitingRoutine)
        waitingEmergency = UInt32(clamping: pool.waitingEmergency)
        capacity = UInt32(clamping: pool.capacity)
    }
}

extension RuntimeProcessLimits {
    init(_ summary: ServerSummary) {
        self.init()
        maxConnections = UInt32(clamping: summary.maximumConnections)
        maxCalls = UInt32(clamping: summary.maximumCalls)
        drainGrace = .init(summary.drainGrace)
        maxCallsPerConnection = summary.limits.maxConcurrentCalls
        maxFrameSize = summary.limits.maxFrameSize
        maxMessageSize = summary.limits.maxMessageSize
        connectionCredit = summary.limits.connectionCredit
        callCredit = summary.limits.callCredit
    }
}

extension RuntimeMethodLoad {
    init(_ report: MethodReport) {
        self.init()
        method = report.method.fullName
        running = UInt32(clamping: report.running)
        concurrency = UInt32(clamping: report.method.concurrency ?? 0)
    }
}

extension RuntimeConnectionState {
    init(_ connection: ConnectionReport) {
        self.init()
        peer = connection.peer?.service ?? ""
        address = connection.address
        age = .init(connection.age ?? .zero)
        silentFor = .init(connection.silence ?? .zero)
        calls = UInt32(clamping: connection.calls.count)
        totalCalls = connection.totalCalls
        eventLoop = UInt32(clamping: connection.loop)
    }
}

extension RuntimeCallState {
    init(_ call: CallReport) {
        self.init()
        method = call.context.method.fullName
        peer = call.context.peer.service
        age = .init(call.age)
        remaining = .init(call.context.deadline.remaining())
        lane = call.context.lane.word
        state = call.state.word
        attempt = UInt32(clamping: call.context.attempt)
        requestID = call.context.requestID
    }
}

extension CallReport.State {
    fileprivate var word: String {
        switch self {
        case .queued: "QUEUED"
        case .running: "RUNNING"
        case .stopping: "STOPPING"
        }
    }
}

extension Google_Protobuf_Duration {
    /// Whole microseconds.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(seconds: seconds, nanos: Int32(attoseconds / 1_000_000_000_000 * 1000))
    }
}
