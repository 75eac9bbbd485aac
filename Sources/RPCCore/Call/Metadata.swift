/// What travels beside a message: pairs of key and bytes, in order, keys may repeat.
///
/// Keys are lowercase `[a-z0-9-]`, at most 64 bytes. What the runtime itself needs (identity, request id, trace) has
/// fields of its own in `CallContext` and `CallOptions` and cannot be set here.
package struct Metadata: Sendable, Hashable {
    package private(set) var pairs: [Pair] = []

    package struct Pair: Sendable, Hashable {
        package var key: String
        package var value: [UInt8]

        package init(key: String, value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    package init() {}

    package var isEmpty: Bool { pairs.isEmpty }

    /// Adds a pair behind the others.
    package mutating func append(_ key: String, _ value: [UInt8]) {
        pairs.append(Pair(key: key, value: value))
    }

    /// The first value of `key` as UTF-8 text, if there is one.
    package subscript(text key: String) -> String? {
        pairs.first { $0.key == key }.flatMap { String(validating: $0.value, as: UTF8.self) }
    }
}
