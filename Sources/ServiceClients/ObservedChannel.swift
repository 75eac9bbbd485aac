import RPCCore
import ServiceKit
import Synchronization

/// A channel whose calls are measured, and are parts of traces. It stands before a pool only in a process that measures.
struct ObservedChannel: RPCChannel {
    let inner: any RPCChannel
    let telemetry: Telemetry

    func call(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) async throws(RPCError) -> [UInt8] {
        let (watched, options) = begin(method, options)
        do {
            let answer = try await inner.call(method, request: request, options: options)
            watched.end(.ok)
            return answer
        } catch {
            watched.end(error.code)
            throw error
        }
    }

    func open(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) throws(RPCError) -> any RPCStream {
        let (watched, options) = begin(method, options)
        do {
            return ObservedStream(inner: try inner.open(method, request: request, options: options), call: watched)
        } catch {
            watched.end(error.code)
            throw error
        }
    }

    private func begin(_ method: MethodDescriptor, _ options: CallOptions) -> (ObservedCall, CallOptions) {
        let span = telemetry.tracer?.begin(method.fullName, .client, parent: options.trace)
        var options = options
        if let span { options.trace = span.trace }
        return (ObservedCall(telemetry.clients[method], span), options)
    }
}

/// A call under way. Ends once.
private final class ObservedCall: Sendable {
    private let instruments: ClientInstruments.Method?
    private let span: TracedCall?
    private let started = MonotonicInstant.now
    private let hasEnded = Atomic(false)

    init(_ instruments: ClientInstruments.Method?, _ span: TracedCall?) {
        self.instruments = instruments
        self.span = span
        instruments?.inFlight.increment()
    }

    func end(_ code: StatusCode) {
        guard !hasEnded.exchange(true, ordering: .relaxed) else { return }
        instruments?.inFlight.decrement()
        instruments?.durations.record(started.duration(to: .now), code)
        span?.end(code)
    }
}

/// A streaming call, whose end is the end of its answer. Whoever starts one owes a `cancel`, so that every call has one.
private struct ObservedStream: RPCStream {
    let inner: any RPCStream
    let call: ObservedCall

    var responses: InboundMessages { inner.responses }
    var requests: OutboundMessages { inner.requests }

    func finishRequests() { inner.finishRequests() }

    func cancel() {
        inner.cancel()
        // It has ended now, one way or another: the answer says which, without a wait.
        Task { _ = try? await answer() }
    }

    func answer() async throws(RPCError) -> [UInt8] {
        do {
            let answer = try await inner.answer()
            call.end(.ok)
            return answer
        } catch {
            call.end(error.code)
            throw error
        }
    }
}
