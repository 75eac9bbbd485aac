/// Why certificates and keys cannot be used. The text names the file, what is wrong and, where there is one, the
/// remedy.
package struct TLSConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package let file: String
    package let problem: String

    package init(file: String, problem: String) {
        self.file = file
        self.problem = problem
    }

    package var description: String { "\(file): \(problem)" }
}
