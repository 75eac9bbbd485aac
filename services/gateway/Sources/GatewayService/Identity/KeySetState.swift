package import JOSE

/// When the keys that verify access tokens are fetched: a value, told the time.
package struct KeySetState: Sendable {
    /// The least time between two fetches that unknown key ids cause: anybody can write a key id.
    package static let unknownKeyPause = Duration.seconds(5)

    package private(set) var keys: JWKSet?
    private var lastUnknown: ContinuousClock.Instant?

    package init() {}

    package mutating func install(_ keys: JWKSet) { self.keys = keys }

    /// Whether a token with a key id that is not in the set may cause a fetch now; if so, it is taken as caused.
    package mutating func mayFetchForUnknownKey(now: ContinuousClock.Instant) -> Bool {
        if let lastUnknown, now < lastUnknown.advanced(by: Self.unknownKeyPause) { return false }
        lastUnknown = now
        return true
    }
}
