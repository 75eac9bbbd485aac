/// Where log lines go.
package protocol LogOutput: Sendable {
    /// Takes one line with its line feed. Called on event loops: it must not block.
    func write(_ line: [UInt8])
    /// Returns when what was taken has been written.
    func flush()
}

extension LogOutput {
    package func flush() {}
}
