package import Contracts
package import RPCCore

extension Administration {
    func createClient(_ request: AuthCreateClientRequest, by actor: Actor, _ context: CallContext) async throws -> AuthClientSecret {
        try actor.requirePerson()
        let secret = try OpaqueToken(.clientSecret)
        var scopes: [String] = []
        for scope in request.scopes where !scopes.contains(scope) { scopes.append(scope) }
        let client = MachineClient(
            id: try Identifier.client.make(), name: try PersonName(request.name).text, scopes: scopes,
            createdAt: store.clock.now, liveSecrets: 1, lastUsedAt: nil)
        return try await store.createClient(client, secret: secret, by: actor, context.rowOrigin).message(with: secret)
    }

    func listClients() async throws -> AuthListClientsResponse {
        var response = AuthListClientsResponse()
        response.clients = try await store.clients().map(\.message)
        return response
    }

    func rotateClientSecret(
        _ request: AuthRotateClientSecretRequest, by actor: Actor, _ context: CallContext
    ) async throws -> AuthClientSecret {
        try actor.requirePerson()
        let secret = try OpaqueToken(.clientSecret)
        return try await store.rotateSecret(
            of: request.clientID, to: secret, endingPrevious: request.endPrevious, by: actor, context.rowOrigin
        ).message(with: secret)
    }

    func deleteClient(
        _ request: AuthDeleteClientRequest, by actor: Actor, _ context: CallContext
    ) async throws -> AuthDeleteClientResponse {
        try actor.requirePerson()
        try await store.deleteClient(request.clientID, by: actor, context.rowOrigin)
        return AuthDeleteClientResponse()
    }
}

extension Actor {
    /// Credentials, and admins, are made by people: a client that could make others would outlive its removal.
    ///
    /// - Throws: `AuthError.userNeeded`.
    func requirePerson() throws {
        if case .client = self { throw AuthError.userNeeded }
    }
}

extension MachineClient {
    fileprivate var message: AuthClient {
        var message = AuthClient()
        message.clientID = id
        message.name = name
        message.scopes = scopes
        message.createdAt = createdAt.message
        message.live = UInt32(clamping: liveSecrets)
        if let lastUsedAt { message.lastUsedAt = lastUsedAt.message }
        return message
    }

    fileprivate func message(with secret: OpaqueToken) -> AuthClientSecret {
        var message = AuthClientSecret()
        message.clientID = id
        message.clientSecret = secret.text.exposed
        message.name = name
        message.scopes = scopes
        message.live = UInt32(clamping: liveSecrets)
        return message
    }
}

/// The methods of `lockstep.auth.v1.ClientAdminService`: for users with the role `admin`.
package struct ClientAdminHandler: ClientAdminServiceHandler {
    let administration: Administration

    init(store: AuthStore) { administration = Administration(store: store) }

    package func createClient(_ request: AuthCreateClientRequest, _ context: CallContext) async throws -> AuthClientSecret {
        try await administration.createClient(request, by: administration.admin(context), context)
    }

    package func listClients(_ request: AuthListClientsRequest, _ context: CallContext) async throws -> AuthListClientsResponse {
        try await administration.listClients()
    }

    package func rotateClientSecret(
        _ request: AuthRotateClientSecretRequest, _ context: CallContext
    ) async throws -> AuthClientSecret {
        try await administration.rotateClientSecret(request, by: administration.admin(context), context)
    }

    package func deleteClient(_ request: AuthDeleteClientRequest, _ context: CallContext) async throws -> AuthDeleteClientResponse {
        try await administration.deleteClient(request, by: administration.admin(context), context)
    }
}

/// The methods of `lockstep.auth.v1.ClientOperatorService`: for whoever shows the operator's certificate.
package struct ClientOperatorHandler: ClientOperatorServiceHandler {
    let administration: Administration

    init(store: AuthStore) { administration = Administration(store: store) }

    package func createClient(_ request: AuthCreateClientRequest, _ context: CallContext) async throws -> AuthClientSecret {
        try await administration.createClient(request, by: .operator, context)
    }

    package func listClients(_ request: AuthListClientsRequest, _ context: CallContext) async throws -> AuthListClientsResponse {
        try await administration.listClients()
    }

    package func rotateClientSecret(
        _ request: AuthRotateClientSecretRequest, _ context: CallContext
    ) async throws -> AuthClientSecret {
        try await administration.rotateClientSecret(request, by: .operator, context)
    }

    package func deleteClient(_ request: AuthDeleteClientRequest, _ context: CallContext) async throws -> AuthDeleteClientResponse {
        try await administration.deleteClient(request, by: .operator, context)
    }
}
