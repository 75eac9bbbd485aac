import Foundation
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import WireCore

/// Our own implementation as a client of the conformance services: under test, or the other end of a server's tests.
package final class ReferenceClient: Sendable {
    private struct Channel {
        let pool: ClientPool
        let tls: TLSIdentity
    }

    private let channels = Mutex<[String: Channel]>([:])
    private let calls = Mutex<[UInt64: Canceller]>([:])
    private let fault: Mutant

    /// - Parameter fault: A mutant's, for tests of the harness itself.
    package init(fault: Mutant = .none) { self.fault = fault }

    package func open(_ channel: ConformanceOpenChannel) throws {
        guard let endpoint = channel.endpoints.first, channel.endpoints.count == 1 else {
            throw PeerFailure("a channel of \(channel.endpoints.count) endpoints")
        }
        var options = ClientOptions(connections: 1)
        options.limits.apply(channel.limits, channel.timers)
        if channel.timers.handshakeMs > 0 { options.handshakeTimeout = .milliseconds(channel.timers.handshakeMs) }
        let tls = try TLSIdentity(channel.credentials)
        let pool = try ClientPool(
            service: channel.service, host: endpoint.host, port: Int(endpoint.port), tls: tls, options: options)
        channels.withLock { $0[channel.name] = Channel(pool: pool, tls: tls) }
    }

    /// Reads the files of all channels' credentials again.
    func reload() throws {
        for channel in channels.withLock({ Array($0.values) }) { _ = try channel.tls.reload() }
    }

    package func close(_ close: ConformanceCloseChannel) async throws {
        guard let channel = channels.withLock({ $0.removeValue(forKey: close.name) }) else {
            throw PeerFailure("there is no channel \(close.name)")
        }
        await channel.pool.shutdown()
    }

    /// Makes the call; returns when it has ended.
    package func call(_ call: ConformanceCall, id: UInt64) async throws -> ConformanceCallResult {
        guard let channel = channels.withLock({ $0[call.channel] }) else {
            throw PeerFailure("there is no channel \(call.channel)")
        }
        let canceller = Canceller()
        calls.withLock { $0[id] = canceller }
        defer { calls.withLock { $0[id] = nil } }
        let task = Task { [fault] in
            // A call that is cancelled before its start finds itself so.
            if call.cancel.when == .beforeStart(true) { withUnsafeCurrentTask { $0?.cancel() } }
            return await ClientCallRun(call: call, channel: channel.pool, canceller: canceller, fault: fault).result()
        }
        canceller.take(task)
        return await task.value
    }

    package func cancel(_ id: UInt64) { calls.withLock { $0[id] }?.cancel() }
}

/// A command that cannot be carried out; why, for people.
package struct PeerFailure: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
