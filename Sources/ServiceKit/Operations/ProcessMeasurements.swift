/// What a process measures of itself, at one moment: for its operator, beside what Prometheus reads.
package struct ProcessMeasurements: Sendable {
    /// How late each event loop was when it was last asked; of one that has not answered yet, how late it is.
    package let eventLoopDelays: [Duration]
    /// How often a handler has held its event loop too long.
    package let holds: Int
    /// What waits, by where it waits.
    package let queueDepths: [QueueName: Int]
    package let process: ProcessStatistics

    package init(
        eventLoopDelays: [Duration], holds: Int, queueDepths: [QueueName: Int], process: ProcessStatistics
    ) {
        self.eventLoopDelays = eventLoopDelays
        self.holds = holds
        self.queueDepths = queueDepths
        self.process = process
    }
}
