package import ServiceKit

/// Every key that this service reads, besides those that all services share.
package enum TokenConfig {
    package static let database = ConfigKey<DatabaseURL>.database(
        of: "token", "Where connections are kept; without a value of its own, where `database.url` (LOCKSTEP_DATABASE_URL) says.")
    package static let providers = ConfigKey(
        "token.providers", default: StatePath("providers.json"),
        doc: "The providers that users can link; a missing file means none.")
    package static let stateLifetime = ConfigKey(
        "token.state_lifetime", default: Duration.seconds(600), in: .seconds(30) ... .seconds(3600),
        doc: "How long a user may take from the start of a link to the callback.")
    package static let refreshMargin = ConfigKey(
        "token.refresh_margin", default: Duration.seconds(60), in: .zero ... .seconds(3600),
        doc: "Tokens that end within this are refreshed before they are given out.")
    package static let providerTimeout = ConfigKey(
        "token.provider_timeout", default: Duration.seconds(10), in: .seconds(1) ... .seconds(20),
        doc: "For one request to a provider, from connecting to the last byte.")
    package static let connectionsPerUser = ConfigKey(
        "token.connections_per_user", default: 50, in: 1...1000, doc: "Connections that one user may have.")
    package static let instance = ConfigKey(
        "token.instance", default: "token-1", doc: "Name of this process among those that share the database.")

    package static let keys: [any ConfigEntry] = [
        database, providers, stateLifetime, refreshMargin, providerTimeout, connectionsPerUser, instance,
    ]
    package static let table = ConfigTable(service: "token", keys: keys)
}

extension TokenSettings {
    init(_ configuration: Configuration) throws {
        self.init()
        instance = try configuration[TokenConfig.instance]
        stateLifetime = try configuration[TokenConfig.stateLifetime]
        refreshMargin = try configuration[TokenConfig.refreshMargin]
        providerTimeout = try configuration[TokenConfig.providerTimeout]
        connectionsPerUser = try configuration[TokenConfig.connectionsPerUser]
    }
}
