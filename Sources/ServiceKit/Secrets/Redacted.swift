/// A value that must not be printed: every way to turn it into text gives the placeholder.
///
/// Not `Codable`, so that no encoder writes it by accident. The value comes out by `exposed` and `withExposed` alone:
/// one word to search for.
package struct Redacted<Value> {
    private let value: Value

    package init(_ value: Value) { self.value = value }

    /// The value itself. Never hand it to something that prints.
    package var exposed: Value { value }

    /// The value, for as long as `body` runs.
    package func withExposed<Result, Failure: Error>(
        _ body: (Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(value)
    }

    /// Another value made from this one, just as secret.
    package func map<Other, Failure: Error>(
        _ transform: (Value) throws(Failure) -> Other
    ) throws(Failure) -> Redacted<Other> {
        Redacted<Other>(try transform(value))
    }
}

/// What stands in the place of a secret.
package enum SecretPlaceholder {
    package static let text = "<redacted>"
}

extension Redacted: Sendable where Value: Sendable {}

/// Not constant time: for what a stranger supplies, compare hashes or use `constantTimeEqual`.
extension Redacted: Equatable where Value: Equatable {}
extension Redacted: Hashable where Value: Hashable {}

extension Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { SecretPlaceholder.text }
    package var debugDescription: String { SecretPlaceholder.text }
    /// No children: `dump` and reflection-based encoders see nothing.
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>(), displayStyle: .struct) }
}
