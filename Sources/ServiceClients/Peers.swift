import RPCClient
package import RPCCore
import RPCTransport
package import ServiceKit

/// The ways from an ASYNC service to the services that it calls, by configuration (`peers.…`).
///
/// Here and not in ServiceKit: a SYNC service must not link a client.
package struct Peers: Sendable {
    private let auth: ClientPool
    private let token: ClientPool
    private let email: ClientPool
    private let encryption: ClientPool
    private let telemetry: Telemetry?

    /// The services that others call.
    package enum Name: Sendable, Hashable, CaseIterable {
        case auth
        case token
        case email
        case encryption
    }

    /// Connects to nothing yet.
    ///
    /// - Throws: `ConfigProblem` when the service's table has no peers.
    package init(_ environment: ServiceEnvironment) throws {
        auth = try Self.pool(.auth, environment)
        token = try Self.pool(.token, environment)
        email = try Self.pool(.email, environment)
        encryption = try Self.pool(.encryption, environment)
        telemetry = environment.telemetry
        for name in Name.allCases {
            let pool = pool(of: name)
            telemetry?.queue(.client) { pool.waitingCalls }
        }
    }

    /// The channel to a service: one pool for each, connected by the first call.
    package func channel(to name: Name) -> any RPCChannel {
        guard let telemetry else { return pool(of: name) }
        return ObservedChannel(inner: pool(of: name), telemetry: telemetry)
    }

    private func pool(of name: Name) -> ClientPool {
        switch name {
        case .auth: auth
        case .token: token
        case .email: email
        case .encryption: encryption
        }
    }

    /// Ends all pools; calls under way may finish within their grace.
    package func shutdown() async {
        await withTaskGroup { group in
            for name in Name.allCases { group.addTask { await pool(of: name).shutdown() } }
        }
    }

    private static func pool(_ service: ServiceName, _ environment: ServiceEnvironment) throws -> ClientPool {
        let location = try environment.configuration[SharedKeys.peer(service)]
        var options = ClientOptions()
        try environment.connectionLife.apply(toClient: &options.limits)
        return try ClientPool(
            service: service.rawValue, resolver: location.resolver, tls: environment.tls, options: options)
    }
}
