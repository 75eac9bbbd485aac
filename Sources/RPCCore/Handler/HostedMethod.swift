/// A method that a process hosts: of either class, ready to run.
package enum HostedMethod: Sendable {
    case sync(SyncMethod)
    case async(AsyncMethod)

    package var descriptor: MethodDescriptor {
        switch self {
        case .sync(let method): method.descriptor
        case .async(let method): method.descriptor
        }
    }
}

/// Why a set of services cannot be hosted: a fault of the program, found at start-up.
package struct HostingError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A hosted method and how many of its calls are under way.
package final class MethodEntry: Sendable {
    package let method: HostedMethod
    package let running: Admission

    let id: UInt32
    package let descriptor: MethodDescriptor
    /// Calls under way.
    package var openCalls: Int { running.current }

    init(_ method: HostedMethod) {
        self.method = method
        self.descriptor = method.descriptor
        self.id = method.descriptor.id
        // A SYNC call is judged where it waits: by the queue of the loop or of the pool, which know how long a run takes.
        let isJudged = method.descriptor.execution == .async && !method.descriptor.kind.streams
        self.running = Admission(method.descriptor.admission, judgesTime: isJudged)
    }
}

/// The methods of a process by their ids: the router.
package struct MethodTable: Sendable {
    private let entries: [UInt32: MethodEntry]
    /// The same by place: ids are parts of digests, so each is near the place that its lowest bits name.
    private let places: [MethodEntry?]

    /// - Throws: `HostingError` when two methods share an id.
    package init(_ methods: [HostedMethod]) throws(HostingError) {
        var entries: [UInt32: MethodEntry] = [:]
        for method in methods {
            let id = method.descriptor.id
            if let other = entries[id] {
                throw HostingError("\(method.descriptor.fullName) and \(other.descriptor.fullName) share the id \(id).")
            }
            entries[id] = MethodEntry(method)
        }
        self.entries = entries
        self.places = Self.places(entries)
    }

    /// Twice as many as there are methods at least, so that one is always empty.
    private static func places(_ entries: [UInt32: MethodEntry]) -> [MethodEntry?] {
        var count = 4
        while count < 2 * entries.count + 1 { count *= 2 }
        var places = [MethodEntry?](repeating: nil, count: count)
        for (id, entry) in entries {
            var place = Int(id) & (count - 1)
            while places[place] != nil { place = (place + 1) & (count - 1) }
            places[place] = entry
        }
        return places
    }

    package subscript(id: UInt32) -> MethodEntry? {
        var place = Int(id) & (places.count - 1)
        while let entry = places[place] {
            if entry.id == id { return entry }
            place = (place + 1) & (places.count - 1)
        }
        return nil
    }

    package var descriptors: [MethodDescriptor] { entries.values.map(\.descriptor) }
    /// In order of name.
    package var all: [MethodEntry] { entries.values.sorted { $0.descriptor.fullName < $1.descriptor.fullName } }
}
