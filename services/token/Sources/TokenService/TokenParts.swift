package import Logging

/// The parts that share a database, a vault and a clock.
package struct TokenParts: Sendable {
    package let handler: TokenHandler
    package let revoker: Revoker

    package init(
        store: ConnectionStore, sealer: any Sealer, providers: ProviderRegistry, client: OAuthClient,
        settings: TokenSettings, clock: any ServiceClock, logger: Logger
    ) {
        let bell = Bell()
        revoker = Revoker(
            store: store, sealer: sealer, providers: providers, client: client, settings: settings, clock: clock,
            bell: bell, logger: logger)
        handler = TokenHandler(
            connector: Connector(
                store: store, sealer: sealer, providers: providers, client: client, settings: settings, clock: clock,
                logger: logger),
            refresher: Refresher(
                store: store, sealer: sealer, providers: providers, client: client, settings: settings, clock: clock,
                bell: bell, logger: logger),
            revoker: revoker)
    }
}
