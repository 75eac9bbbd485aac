/// How often a client tries a call again by itself.
package struct RetryOptions: Sendable, Hashable {
    /// Attempts of one call, the first included; 1: never again. Beside them, a call that only came to a connection
    /// that was on its way out is sent once more.
    package var attempts = 3
    /// Before the second attempt and those after it. The server's `retry_after` makes a pause longer, never shorter.
    package var pauses = Backoff(base: .milliseconds(25), maximum: .seconds(1), minimum: .milliseconds(1))
    /// The bucket of failures that may be tried again; half of it at once.
    package var tokens = 100.0
    /// What a success gives back of a token.
    package var ratio = 0.1

    package init() {}

    /// Each call once.
    package static let none: RetryOptions = {
        var options = RetryOptions()
        options.attempts = 1
        return options
    }()
}
