import Foundation
import RPCCore

/// ConformanceService as PROTOCOL.md describes it: one handler for all cases.
struct ConformanceHandler: ConformanceServiceHandler {
    let tallies: Tallies
    let forwarder: Forwarder

    func unary(_ request: ConformanceRequest, _ context: CallContext) async throws -> ConformanceResponse {
        let call = planned(request.plan, context)
        return try await call.run {
            tallies.update(call.plan.tag) { $0.requests += 1 }
            let echo = call.plan.echo ? request.payload : nil
            return try await answer(call, echo, [UInt32(clamping: request.payload.count)])
        }
    }

    func idempotent(_ request: ConformanceRequest, _ context: CallContext) async throws -> ConformanceResponse {
        try await unary(request, context)
    }

    func forbidden(_ request: ConformanceRequest, _ context: CallContext) async throws -> ConformanceResponse {
        try await unary(request, context)
    }

    func clientStream(
        _ requests: MessageStream<ConformanceRequest>, _ context: CallContext
    ) async throws -> ConformanceResponse {
        let first = try await requests.next()
        let call = planned(first?.plan ?? ConformancePlan(), context)
        return try await call.run {
            var reader = RequestReader(requests, call, first)
            if !call.plan.ignoreRequests { while try await reader.next() != nil {} }
            return try await answer(call, call.plan.echo ? reader.payload : nil, reader.sizes)
        }
    }

    func serverStream(
        _ request: ConformanceRequest, _ responses: MessageWriter<ConformanceResponse>, _ context: CallContext
    ) async throws {
        let call = planned(request.plan, context)
        try await call.run {
            tallies.update(call.plan.tag) { $0.requests += 1 }
            var writer = ResponseWriter(responses, call)
            writer.seen = call.seen([UInt32(clamping: request.payload.count)])
            try await call.work(&writer.seen)
            try await writer.rest(echo: call.plan.echo ? [request.payload] : nil)
        }
    }

    func bidi(
        _ requests: MessageStream<ConformanceRequest>, _ responses: MessageWriter<ConformanceResponse>,
        _ context: CallContext
    ) async throws {
        let first = try await requests.next()
        let call = planned(first?.plan ?? ConformancePlan(), context)
        try await call.run {
            let reader = RequestReader(requests, call, first)
            try await converse(call, reader, ResponseWriter(responses, call))
        }
    }

    private func converse(_ call: PlannedCall, _ reader: RequestReader, _ writer: ResponseWriter) async throws {
        var (reader, writer) = (reader, writer)
        writer.seen = call.seen(reader.sizes)
        try await call.work(&writer.seen)
        switch call.plan.pace {
        case .turns: try await turns(call, &reader, &writer)
        case .atOnce:
            try await writer.rest(echo: nil)
            if !call.plan.ignoreRequests { while try await reader.next() != nil {} }
        case .afterEnd, .UNRECOGNIZED:
            if !call.plan.ignoreRequests { while try await reader.next() != nil {} }
            writer.seen.requests = reader.sizes
            try await writer.rest(echo: call.plan.echo ? reader.payloads : nil)
        }
    }

    private func turns(_ call: PlannedCall, _ reader: inout RequestReader, _ writer: inout ResponseWriter) async throws
    {
        while let payload = try await reader.next() {
            writer.seen.requests = reader.sizes
            if call.plan.echo {
                try await writer.write(payload)
            } else if writer.hasSize {
                try await writer.writeNext()
            }
        }
        try await writer.rest(echo: call.plan.echo ? [] : nil)
    }

    private func answer(_ call: PlannedCall, _ echo: Data?, _ requests: [UInt32]) async throws -> ConformanceResponse {
        var seen = call.seen(requests)
        try await call.work(&seen)
        try await call.pause()
        try call.finish()
        var response = call.response(0, size: call.plan.sizes.first ?? 0)
        if let echo { response.payload = echo }
        response.seen = call.stamp(seen)
        tallies.update(call.plan.tag) { $0.responses += 1 }
        return response
    }

    private func planned(_ plan: ConformancePlan, _ context: CallContext) -> PlannedCall {
        PlannedCall(plan: plan, context: context, tallies: tallies, forwarder: forwarder)
    }
}

/// The client's messages of one call, counted.
private struct RequestReader {
    private let requests: MessageStream<ConformanceRequest>
    private let call: PlannedCall
    private var first: ConformanceRequest?
    private(set) var payloads: [Data] = []

    init(_ requests: MessageStream<ConformanceRequest>, _ call: PlannedCall, _ first: ConformanceRequest?) {
        self.requests = requests
        self.call = call
        self.first = first
    }

    var sizes: [UInt32] { payloads.map { UInt32(clamping: $0.count) } }
    var payload: Data { payloads.reduce(Data(), +) }

    /// The payload of the next request; nil at the client's end.
    mutating func next() async throws -> Data? {
        guard let request = try await take() else { return nil }
        payloads.append(request.payload)
        call.tallies.update(call.plan.tag) { $0.requests += 1 }
        return request.payload
    }

    private mutating func take() async throws -> ConformanceRequest? {
        defer { first = nil }
        if let first { return first }
        return try await requests.next()
    }
}

/// The responses of one streaming call, in order.
private struct ResponseWriter {
    private let responses: MessageWriter<ConformanceResponse>
    private let call: PlannedCall
    private let sizes: [UInt32]
    private var count = 0
    var seen = ConformanceSeen()

    init(_ responses: MessageWriter<ConformanceResponse>, _ call: PlannedCall) {
        self.responses = responses
        self.call = call
        self.sizes = call.sizes
    }

    /// There is a size for the next response.
    var hasSize: Bool { count < sizes.count }

    mutating func writeNext() async throws {
        try await write(ConformancePayload.bytes(count, size: Int(sizes[count])))
    }

    mutating func write(_ payload: Data) async throws {
        try await call.pause()
        var response = ConformanceResponse.with { $0.payload = payload }
        if count == 0 { response.seen = call.stamp(seen) }
        try await responses.write(response)
        count += 1
        call.tallies.update(call.plan.tag) { $0.responses += 1 }
    }

    /// What is left to send, and then the failure.
    mutating func rest(echo: [Data]?) async throws {
        if let echo {
            for payload in echo { try await write(payload) }
        } else {
            while hasSize { try await writeNext() }
        }
        if count == 0, call.plan.hasFailure { try await call.pause() }
        try call.finish()
    }
}

/// ConformanceSyncService: plain functions.
struct ConformanceSyncHandler: ConformanceSyncServiceHandler {
    let tallies: Tallies
    let forwarder: Forwarder

    func inline(_ request: ConformanceRequest, _ context: CallContext) throws -> ConformanceResponse {
        let plan = request.plan
        tallies.began(plan.tag)
        defer { tallies.ended(plan.tag) }
        tallies.update(plan.tag) { $0.requests += 1 }
        if withUnsafeCurrentTask(body: { $0 != nil }) { tallies.update(plan.tag) { $0.onAsyncThreads += 1 } }
        let call = PlannedCall(plan: plan, context: context, tallies: tallies, forwarder: forwarder)
        let seen = call.seen([UInt32(clamping: request.payload.count)])
        try burn(call)
        try call.finish()
        var response = call.response(0, size: plan.sizes.first ?? 0)
        if plan.echo { response.payload = request.payload }
        response.seen = call.stamp(seen)
        tallies.update(plan.tag) { $0.responses += 1 }
        return response
    }

    func pool(_ request: ConformanceRequest, _ context: CallContext) throws -> ConformanceResponse {
        try inline(request, context)
    }

    /// Work for the CPU, given up when the call is.
    private func burn(_ call: PlannedCall) throws {
        let end = call.started.advanced(by: .milliseconds(call.plan.burnMs))
        while ContinuousClock.now < end {
            guard !call.plan.ignoreStop, call.context.cancellation.isCancelled else { continue }
            tallies.update(call.plan.tag) { $0.stopped += 1 }
            throw CancellationError()
        }
    }
}
