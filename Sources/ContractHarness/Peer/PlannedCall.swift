package import Foundation
import RPCCore

/// One call at the reference server, answered as its plan says.
struct PlannedCall: Sendable {
    let plan: ConformancePlan
    let context: CallContext
    let tallies: Tallies
    let forwarder: Forwarder
    let started = ContinuousClock.now

    /// The longest that a handler waits to be told to stop.
    static let longestHang = Duration.seconds(60)

    /// Runs the handler's body and keeps count of it.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        tallies.began(plan.tag)
        if tallies.fault == .serverFreesSlots { return try await abandoned(body) }
        defer { tallies.ended(plan.tag) }
        return try await withTaskCancellationHandler {
            // A task of its own hears nothing of the call's cancellation.
            plan.ignoreStop ? try await Task { try await body() }.value : try await body()
        } onCancel: {
            tallies.update(plan.tag) { $0.stopped += 1 }
        }
    }

    /// A mutant's fault: a call that is cancelled ends at once, and its work goes on without a slot.
    private func abandoned<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (results, result) = AsyncThrowingStream<Value, any Error>.makeStream()
        Task {
            do {
                result.yield(try await body())
                result.finish()
            } catch {
                result.finish(throwing: error)
            }
            tallies.ended(plan.tag)
        }
        for try await value in results { return value }
        throw CancellationError()
    }

    /// What comes before the first response.
    func work(_ seen: inout ConformanceSeen) async throws {
        if plan.hang { try await Task.sleep(for: Self.longestHang) }
        if plan.hasForward {
            seen.next = try await forwarder.call(plan.forward, context)
        }
    }

    func pause() async throws {
        if plan.delayMs > 0 { try await Task.sleep(for: .milliseconds(plan.delayMs)) }
    }

    /// - Throws: The failure that the plan asks for, if it does.
    func finish() throws {
        guard plan.hasFailure else { return }
        throw plan.failure.error
    }

    /// The payload sizes of all responses, in order.
    var sizes: [UInt32] {
        Array(repeatElement(plan.sizes, count: Int(max(plan.rounds, 1))).joined())
    }

    func response(_ index: Int, size: UInt32) -> ConformanceResponse {
        ConformanceResponse.with { $0.payload = ConformancePayload.bytes(index, size: Int(size)) }
    }

    /// What the handler knows of its call.
    func seen(_ requests: [UInt32]) -> ConformanceSeen {
        .with { seen in
            seen.peer = context.peer.service
            seen.remainingUs = context.deadline.remaining().microseconds
            seen.metadata = context.metadata.pairs.map { pair in
                .with {
                    $0.name = pair.key
                    $0.value = .init(pair.value)
                }
            }
            seen.requestID = context.requestID
            seen.attempt = UInt32(clamping: context.attempt)
            seen.lane = context.lane == .emergency ? .emergency : .routine
            seen.clientAddress = context.origin.address
            seen.userAgent = context.origin.userAgent
            seen.user = context.user?.subject ?? ""
            seen.requests = requests
        }
    }

    func stamp(_ seen: ConformanceSeen) -> ConformanceSeen {
        var seen = seen
        seen.ranUs = started.duration(to: .now).microseconds
        return seen
    }
}

/// The bytes that payloads are made of.
package enum ConformancePayload {
    private static let period = 251
    /// Long enough that payloads are put together from few pieces: debug builds are slow byte by byte.
    private static let pattern = (0..<period * 256).map { UInt8($0 % period) }

    /// Byte i of message n is (n + i) mod 251.
    package static func bytes(_ index: Int, size: Int) -> Data {
        var bytes = Data(capacity: size)
        var start = index % period
        while bytes.count < size {
            bytes.append(contentsOf: pattern[start..<min(pattern.count, start + size - bytes.count)])
            start = (start + pattern.count - start) % period
        }
        return bytes
    }
}

extension ConformanceFailure {
    /// A failure without a status of its own.
    struct Untyped: Error {
        let text: String
    }

    var error: any Error {
        if untyped { return Untyped(text: message) }
        var error = RPCError(
            StatusCode(rawValue: code) ?? .unknown, message, reason: reason,
            violations: violations.map { FieldViolation(field: $0, message: "is not what it should be") },
            retryAfter: retryAfterMs > 0 ? .milliseconds(retryAfterMs) : nil)
        if !details.isEmpty { error.details = [ErrorDetail(type: "", value: [UInt8](details))] }
        return error
    }
}

extension Duration {
    /// Whole microseconds; 0 when negative.
    package var microseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) * 1_000_000 + UInt64(attoseconds / 1_000_000_000_000)
    }
}
