/// How long a process may take to stop.
package enum ProcessLimits {
    /// How much longer than the server's drain everything that runs may take together.
    package static let drainMargin = Duration.seconds(5)
    /// How long parts may take to notice that they are cancelled; then the process goes on to close what it holds.
    package static let cancellation = Duration.seconds(5)
    /// For closing client pools and databases at the end.
    package static let cleanup = Duration.seconds(10)

    /// From the signal to the end of the process; whoever started it may kill it then.
    package static func stop(drainGrace: Duration) -> Duration {
        drainGrace + drainMargin + cancellation + cleanup
    }
}
