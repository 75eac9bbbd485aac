import ContractClients
import Contracts
import Foundation
import NIOCore
import NIOPosix
import RPCClient
import RPCCore
import RPCTransport

/// Callers of Lockstep's echoes, through the generated clients: each makes one call after the other.
struct RPCLoad {
    let peer: Peer
    let tls: TLSIdentity
    let plan: LoadPlan

    func run() async throws -> LoadReport {
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        let pools = try (0..<plan.connections).map { index in
            var options = ClientOptions(connections: 1)
            options.group = loops[index % loops.count]
            return try ClientPool(
                service: peer.service, host: "127.0.0.1", port: plan.port, tls: tls, options: options)
        }
        let report = try await measure(pools, loops)
        for pool in pools { await pool.shutdown() }
        return report
    }

    private func measure(_ pools: [ClientPool], _ loops: [any EventLoop]) async throws -> LoadReport {
        for pool in pools { _ = try await call(pool) }
        let start = ContinuousClock.now.advanced(by: LoadPlan.warmUp)
        let end = start.advanced(by: .seconds(plan.seconds))
        var report = try await withThrowingTaskGroup(of: LoadReport.self) { group in
            for (index, pool) in pools.enumerated() {
                let executor = plan.offLoop ? nil : LoopExecutor(loops[index % loops.count])
                for _ in 0..<plan.outstanding {
                    group.addTask(executorPreference: executor) {
                        plan.stream ? try await pour(pool, start, end) : try await repeatCalls(pool, start, end)
                    }
                }
            }
            if plan.beside > 0 {
                for pool in pools { group.addTask { try await pourBeside(pool, start, end) } }
            }
            group.addTask {
                try await Task.sleep(until: start)
                LoadPlan.announceStart()
                let before = processCPU()
                try await Task.sleep(until: end)
                return LoadReport(cpu: processCPU() - before)
            }
            return try await group.reduce(into: LoadReport()) { total, part in
                total.calls += part.calls
                total.refused += part.refused
                total.streamed += part.streamed
                total.cpu += part.cpu
                total.latencies.add(part.latencies)
            }
        }
        report.seconds = plan.seconds
        return report
    }

    /// The standard policy lets Token seal under it.
    private static let key = "token-vault"
    /// Messages of a batch.
    private static let batch = 1000

    /// One call, typed as its service is.
    private func caller(_ pool: ClientPool) throws -> () async throws -> Void {
        switch peer {
        case .async:
            let client = RelayServiceClient(pool)
            let request = RelayRequest.with { $0.payload = .init(plan.payload) }
            return { _ = try await client.echo(request) }
        case .encrypt:
            let client = EncryptionServiceClient(pool)
            let request = EncryptionEncryptRequest.with {
                $0.keyName = Self.key
                $0.plaintext = Data(plan.payload)
            }
            return { _ = try await client.encrypt(request) }
        case .encryptBatch:
            return try batchCaller(pool)
        case .sync, .floor:
            let client = EchoServiceClient(pool)
            let request = EchoRequest.with { $0.payload = .init(plan.payload) }
            return { _ = try await client.echo(request) }
        }
    }

    /// Calls with a batch that is encoded once, and answers that are not taken apart but for the first: on the same two cores the
    /// service is measured, not who calls it. Each answer is as long as the first, which has a ciphertext for each item. With
    /// `--decoded` the generated client encodes and decodes each.
    private func batchCaller(_ pool: ClientPool) throws -> () async throws -> Void {
        let item = EncryptionEncryptItem.with { $0.plaintext = Data(plan.payload) }
        let message = EncryptionBatchEncryptRequest.with {
            $0.keyName = Self.key
            $0.items = Array(repeating: item, count: Self.batch)
        }
        if plan.decoded {
            let client = EncryptionServiceClient(pool)
            return { _ = try await client.batchEncrypt(message) }
        }
        let request: [UInt8] = try message.serializedBytes()
        var length: Int?
        return {
            let answer = try await pool.call(EncryptionServiceContract.batchEncrypt, request: request, options: CallOptions())
            if length == nil {
                let results = try EncryptionBatchEncryptResponse(serializedBytes: answer).results
                guard results.count == Self.batch, results.allSatisfy({ !$0.hasError }) else {
                    throw RPCError(.internal, "Of a batch not every item was sealed.")
                }
                length = answer.count
            }
            guard answer.count == length else { throw RPCError(.internal, "A batch was answered with \(answer.count) bytes.") }
        }
    }

    private func call(_ pool: ClientPool) async throws { try await caller(pool)() }

    /// A call that is refused is made again when the server says: it counts as refused, not as a call.
    private func repeatCalls(
        _ pool: ClientPool, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        let call = try caller(pool)
        var report = LoadReport()
        var before = ContinuousClock.now
        while before < end {
            do {
                try await call()
            } catch let error as RPCError {
                guard let pause = error.retryAfter else { throw error }
                report.refused += 1
                try await Task.sleep(for: pause)
                before = .now
                continue
            }
            let after = ContinuousClock.now
            if before >= start, after <= end {
                report.calls += 1
                report.latencies.add(before.duration(to: after))
            }
            before = after
        }
        return report
    }

    /// Bytes of a message of the streams beside calls.
    private static let piece = 64 * 1024

    /// One stream after the other, whole ones, for as long as calls are measured.
    private func pourBeside(
        _ pool: ClientPool, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        let request = RelayPourRequest.with {
            $0.payload = Data(count: Self.piece)
            $0.count = UInt32(clamping: plan.beside / Self.piece)
        }
        var report = LoadReport()
        while ContinuousClock.now < end {
            report.streamed += try await RelayServiceClient(pool).pour(request) { responses in
                var bytes = 0
                while let response = try await responses.next() {
                    let now = ContinuousClock.now
                    if now >= start, now < end { bytes += response.payload.count }
                }
                return bytes
            }
        }
        return report
    }

    private func pour(
        _ pool: ClientPool, _ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant
    ) async throws -> LoadReport {
        let request = RelayPourRequest.with {
            $0.payload = .init(plan.payload)
            $0.count = .max
        }
        return try await RelayServiceClient(pool).pour(request) { responses in
            var report = LoadReport()
            while let _ = try await responses.next() {
                let now = ContinuousClock.now
                if now >= end { return report }
                if now >= start { report.calls += 1 }
            }
            return report
        }
    }
}
