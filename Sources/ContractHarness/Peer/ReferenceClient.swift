import Foundation
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import WireCore

/// Our own implementation as a client of the conformance services: under test, or the other end of a server's tests.
package final class ReferenceClient: Sendable {
    private let channels = Mutex<[String: ClientPool]>([:])
    private let calls = Mutex<[UInt64: Canceller]>([:])

    package init() {}

    package func open(_ channel: ConformanceOpenChannel) throws {
        guard let endpoint = channel.endpoints.first, channel.endpoints.count == 1 else {
            throw PeerFailure("a channel of \(channel.endpoints.count) endpoints")
        }
        var options = ClientOptions(connections: 1)
        options.limits.apply(channel.limits, channel.timers)
        if channel.timers.handshakeMs > 0 { options.handshakeTimeout = .milliseconds(channel.timers.handshakeMs) }
        let pool = try ClientPool(
            service: channel.service, host: endpoint.host, port: Int(endpoint.port),
            tls: TLSIdentity(channel.credentials), options: options)
        channels.withLock { $0[channel.name] = pool }
    }

    package func close(_ close: ConformanceCloseChannel) async throws {
        guard let pool = channels.withLock({ $0.removeValue(forKey: close.name) }) else {
            throw PeerFailure("there is no channel \(close.name)")
        }
        await pool.shutdown()
    }

    /// Makes the call; returns when it has ended.
    package func call(_ call: ConformanceCall, id: UInt64) async throws -> ConformanceCallResult {
        guard let pool = channels.withLock({ $0[call.channel] }) else {
            throw PeerFailure("there is no channel \(call.channel)")
        }
        let canceller = Canceller()
        calls.withLock { $0[id] = canceller }
        defer { calls.withLock { $0[id] = nil } }
        let task = Task {
            // A call that is cancelled before its start finds itself so.
            if call.cancel.when == .beforeStart(true) { withUnsafeCurrentTask { $0?.cancel() } }
            return await ClientCallRun(call: call, channel: pool, canceller: canceller).result()
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
