/// A function of bytes that keeps its promises whatever the bytes are. libFuzzer calls it, and so does `make test` with
/// what was kept.
package struct FuzzTarget: Sendable {
    /// The name of its folders below `Corpus` and `Regressions`.
    package let name: String
    package let run: @Sendable (_ bytes: [UInt8], _ plant: Plant) throws(BrokenPromise) -> Void

    package init(
        _ name: String, run: @escaping @Sendable (_ bytes: [UInt8], _ plant: Plant) throws(BrokenPromise) -> Void
    ) {
        self.name = name
        self.run = run
    }
}

/// Whether a target has a fault built in, which a fuzzer that works must find.
package enum Plant: Sendable {
    case none
    case planted
}

/// What was promised and not kept.
package struct BrokenPromise: Error, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Throws when a promise is broken.
package func promise(_ holds: Bool, _ text: @autoclosure () -> String) throws(BrokenPromise) {
    guard holds else { throw BrokenPromise(text()) }
}

/// Bytes as choices: what makes a mutation of one byte a change of one choice.
package struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    package var isEmpty: Bool { rest.isEmpty }

    /// 0 at the end.
    package mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    package mutating func flag() -> Bool { byte() & 1 == 1 }

    package mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

    package mutating func choose<Value>(_ values: [Value]) -> Value { values[below(values.count)] }

    package mutating func bytes(atMost count: Int) -> [UInt8] {
        let found = rest.prefix(min(Int(byte()), count))
        rest = rest.dropFirst(found.count)
        return Array(found)
    }

    package mutating func uint32() -> UInt32 { (0..<4).reduce(0) { value, _ in value << 8 | UInt32(byte()) } }

    package mutating func remaining() -> [UInt8] {
        defer { rest = [] }
        return Array(rest)
    }
}
