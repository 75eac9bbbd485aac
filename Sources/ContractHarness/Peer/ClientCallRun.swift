import Crypto
import Foundation
import RPCCore
import Synchronization

/// One call of the reference client, as the command describes it.
final class ClientCallRun: Sendable {
    let call: ConformanceCall
    let channel: any RPCChannel
    private let state = Mutex(State())

    private struct State {
        var result = ConformanceCallResult()
        var digest = SHA256()
        var sent = 0
    }

    private var client: ConformanceServiceClient { ConformanceServiceClient(channel) }
    private var syncClient: ConformanceSyncServiceClient { ConformanceSyncServiceClient(channel) }

    private let canceller: Canceller
    private let started = ContinuousClock.now

    private let fault: Mutant

    init(call: ConformanceCall, channel: any RPCChannel, canceller: Canceller, fault: Mutant) {
        self.fault = fault
        self.call = call
        self.channel = channel
        self.canceller = canceller
    }

    func result() async -> ConformanceCallResult {
        let timer = timer(call.cancel.afterMs, isWanted: call.cancel.when == .afterMs(call.cancel.afterMs))
        var failure = await outcome()
        // A mutant's fault: what may have run is sent again, whatever it is.
        if fault == .clientRepeatsLostCalls, failure?.processed == .maybe { failure = await outcome() }
        timer?.cancel()
        return state.withLock { state in
            state.result.elapsedUs = started.duration(to: .now).microseconds
            state.result.processed = .yes
            state.result.sha256 = Data(state.digest.finalize())
            state.result.unsent = UInt32(clamping: requestCount - state.sent)
            if let failure { state.result.take(failure) }
            return state.result
        }
    }

    private func outcome() async -> RPCError? {
        do {
            try await run()
            return nil
        } catch let error as RPCError {
            return error
        } catch {
            return RPCError(.cancelled, "\(error)", processed: .maybe)
        }
    }

    private func run() async throws {
        switch call.method {
        case .unary: received(try await single { try await client.unary($0, options) })
        case .idempotent: received(try await single { try await client.idempotent($0, options) })
        case .forbidden: received(try await single { try await client.forbidden($0, options) })
        case .syncInline: received(try await single { try await syncClient.inline($0, options) })
        case .syncPool: received(try await single { try await syncClient.pool($0, options) })
        case .clientStream: received(try await client.clientStream(options) { try await sendAll($0) })
        case .serverStream: try await single { try await client.serverStream($0, options) { try await readAll($0) } }
        case .bidi: try await client.bidi(options) { try await converse($0, $1) }
        case .UNRECOGNIZED(let number): throw RPCError(.unimplemented, "method \(number)", processed: .no)
        }
    }

    private var options: CallOptions {
        var options = CallOptions(timeout: call.timeoutUs > 0 ? .microseconds(call.timeoutUs) : nil)
        options.lane = call.lane == .emergency ? .emergency : .routine
        options.waitForReady = !call.failFast
        for pair in call.metadata { options.metadata.append(pair.name, Array(pair.value)) }
        return options
    }

    // MARK: Sending

    private var requestCount: Int { call.sends.reduce(0) { $0 + Int(max($1.times, 1)) } }

    private func single<Value>(_ body: (ConformanceRequest) async throws -> Value) async throws -> Value {
        let send = call.sends.first ?? ConformanceSend()
        try await pause(send.delayMs)
        let timer = timer(call.cancel.afterSendsMs, isWanted: cancelsAfterSends)
        defer { timer?.cancel() }
        state.withLock { $0.sent = 1 }
        return try await body(request(0, send))
    }

    private func request(_ index: Int, _ send: ConformanceSend) -> ConformanceRequest {
        .with { request in
            if index == 0 { request.plan = call.plan }
            request.payload = send.size > 0 ? ConformancePayload.bytes(index, size: Int(send.size)) : send.payload
        }
    }

    /// The requests, in order.
    private func requests() -> some Sequence<ConformanceSend> {
        call.sends.lazy.flatMap { repeatElement($0, count: Int(max($0.times, 1))) }
    }

    private func sendAll(_ writer: MessageWriter<ConformanceRequest>) async throws {
        for (index, send) in requests().enumerated() { try await self.send(index, send, writer) }
        if cancelsAfterSends {
            try await pause(call.cancel.afterSendsMs)
            stop()
        }
    }

    private func send(_ index: Int, _ send: ConformanceSend, _ writer: MessageWriter<ConformanceRequest>) async throws {
        try await pause(send.delayMs)
        try await writer.write(request(index, send))
        state.withLock { $0.sent += 1 }
    }

    // MARK: Reading

    private func readAll(_ responses: MessageStream<ConformanceResponse>) async throws {
        while try await read(responses) {}
    }

    /// Reads one; false at the end.
    private func read(_ responses: MessageStream<ConformanceResponse>) async throws -> Bool {
        let count = state.withLock { Int($0.result.responseCount) }
        if call.pauseAfter > 0, count == Int(call.pauseAfter) { try await pause(call.pauseMs) }
        try await pause(call.readDelayMs)
        guard let response = try await responses.next() else { return false }
        received(response)
        if call.cancel.when == .afterResponses(UInt32(clamping: count + 1)) { stop() }
        return true
    }

    private func received(_ response: ConformanceResponse) {
        state.withLock { state in
            if state.result.responseCount == 0 {
                state.result.firstResponseUs = started.duration(to: .now).microseconds
            }
            state.result.responseCount += 1
            state.result.responseBytes += UInt64(response.payload.count)
            state.digest.update(data: response.payload)
            if !call.summary {
                state.result.responses.append(response)
            } else if response.hasSeen {
                state.result.responses.append(.with { $0.seen = response.seen })
            }
        }
    }

    // MARK: Both

    private func converse(
        _ writer: MessageWriter<ConformanceRequest>, _ responses: MessageStream<ConformanceResponse>
    ) async throws {
        do {
            if call.order == .sendFirst {
                try await sendAll(writer)
            } else {
                try await alternate(writer, responses)
            }
            writer.finish()
        } catch let error as RPCError where error.reason == RPCError.streamEnded.reason {
            // How the call ended is what reading says.
        }
        try await readAll(responses)
    }

    private func alternate(
        _ writer: MessageWriter<ConformanceRequest>, _ responses: MessageStream<ConformanceResponse>
    ) async throws {
        for (index, send) in requests().enumerated() {
            try await self.send(index, send, writer)
            for _ in 0..<reads(after: index) {
                guard try await read(responses) else { return }
            }
        }
        if cancelsAfterSends {
            try await pause(call.cancel.afterSendsMs)
            stop()
        }
    }

    /// How many responses are read between this request and the next.
    private func reads(after index: Int) -> Int {
        guard call.order == .readFirst else { return 1 }
        return index == 0 ? call.plan.sizes.count * Int(max(call.plan.rounds, 1)) : 0
    }

    // MARK: Time

    private var cancelsAfterSends: Bool { call.cancel.when == .afterSendsMs(call.cancel.afterSendsMs) }

    private func pause(_ millis: UInt32) async throws {
        if millis > 0 { try await Task.sleep(for: .milliseconds(millis)) }
    }

    private func stop() { canceller.cancel() }

    /// Cancels the call after a while.
    private func timer(_ millis: UInt32, isWanted: Bool) -> Task<Void, Never>? {
        guard isWanted else { return nil }
        return Task { [canceller] in
            guard (try? await Task.sleep(for: .milliseconds(millis))) != nil else { return }
            canceller.cancel()
        }
    }
}

/// Cancels a task that may not be known yet.
final class Canceller: Sendable {
    private let state = Mutex<(task: Task<ConformanceCallResult, Never>?, isCancelled: Bool)>((nil, false))

    func take(_ task: Task<ConformanceCallResult, Never>) {
        let isLate = state.withLock { state in
            state.task = task
            return state.isCancelled
        }
        if isLate { task.cancel() }
    }

    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
    }
}

extension ConformanceCallResult {
    mutating func take(_ error: RPCError) {
        code = error.code.rawValue
        message = error.message
        reason = error.reason
        violations = error.violations.map(\.field)
        details = Data(error.details(limit: 4096))
        processed =
            switch error.processed {
            case .no: .no
            case .maybe: .maybe
            case .yes: .yes
            }
        retryAfterMs = UInt32(clamping: (error.retryAfter?.microseconds ?? 0) / 1000)
        queuedUs = error.timeline.queued?.microseconds ?? 0
        ranUs = error.timeline.ran?.microseconds ?? 0
    }
}
