/// An error that says what the log may hold of it.
package protocol LoggableError: Error {
    /// One line without secrets, personal data or what a caller sent: identifiers, counts, names of operations.
    var logLine: String { get }
}
