import RPCClient
import RPCCore
import RPCTransport
import Testing
import WireCore

/// Runs an ASYNC server named `auth` for as long as `body` does.
func withServer<Value: Sendable>(
    _ methods: [AsyncMethod], shared: [SyncMethod] = [], users: (any UserIdentityVerifier)? = nil,
    observer: (any ServerObserver)? = nil, options: ServerOptions = ServerOptions(),
    _ body: (AsyncServer, BoundAddress) async throws -> Value
) async throws -> Value {
    let server = try AsyncServer(
        handlers: [TestAsyncService(asyncMethods: methods)], hostedByBoth: [TestSharedService(syncMethods: shared)],
        tls: try TestCertificates.shared.get().identity("auth"), users: users, observer: observer, options: options)
    return try await running({ try await server.start() }, { try await server.run() }, server.shutdown) {
        try await body(server, $0)
    }
}

/// Runs a SYNC server named `encryption` for as long as `body` does.
func withSyncServer<Value: Sendable>(
    _ methods: [SyncMethod], users: (any UserIdentityVerifier)? = nil, observer: (any ServerObserver)? = nil,
    options: ServerOptions = ServerOptions(), _ body: (SyncServer, BoundAddress) async throws -> Value
) async throws -> Value {
    let server = try SyncServer(
        handlers: [TestSyncService(syncMethods: methods)],
        tls: try TestCertificates.shared.get().identity("encryption"), users: users, observer: observer,
        options: options)
    return try await running({ try await server.start() }, { try await server.run() }, server.shutdown) {
        try await body(server, $0)
    }
}

private func running<Value: Sendable>(
    _ start: @Sendable () async throws -> BoundAddress, _ run: @escaping @Sendable () async throws -> Void,
    _ shutdown: () -> Void, _ body: (BoundAddress) async throws -> Value
) async throws -> Value {
    let address = try await start()
    let running = Task { try await run() }
    do {
        let value = try await body(address)
        shutdown()
        try await running.value
        return value
    } catch {
        shutdown()
        try? await running.value
        throw error
    }
}

/// A client for as long as `body` runs.
func withClient<Value: Sendable>(
    _ address: BoundAddress, as peer: String = "gateway", of service: String = "auth",
    _ change: (inout ClientOptions) -> Void = { _ in }, _ body: (ClientPool) async throws -> Value
) async throws -> Value {
    var options = ClientOptions(connections: 1)
    change(&options)
    let pool = try ClientPool(
        service: service, host: address.host, port: address.port,
        tls: try TestCertificates.shared.get().identity(peer), options: options)
    do {
        let value = try await body(pool)
        await pool.shutdown()
        return value
    } catch {
        await pool.shutdown()
        throw error
    }
}

extension RPCChannel {
    func call(
        _ method: MethodDescriptor, _ request: [UInt8] = [], timeout: Duration? = nil,
        _ change: (inout CallOptions) -> Void = { _ in }
    ) async throws(RPCError) -> [UInt8] {
        var options = CallOptions(timeout: timeout)
        change(&options)
        return try await call(method, request: request, options: options)
    }

    /// The error of a call that must fail.
    func failure(
        _ method: MethodDescriptor, _ request: [UInt8] = [], timeout: Duration? = nil,
        sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout CallOptions) -> Void = { _ in }
    ) async throws -> RPCError {
        do throws(RPCError) {
            _ = try await call(method, request, timeout: timeout, change)
        } catch {
            return error
        }
        Issue.record("The call succeeded.", sourceLocation: sourceLocation)
        throw RPCError(.unknown, "The call succeeded.")
    }
}
