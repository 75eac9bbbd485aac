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
    let running: CallGauge

    package var descriptor: MethodDescriptor { method.descriptor }

    init(_ method: HostedMethod) {
        self.method = method
        self.running = CallGauge(limit: method.descriptor.concurrency)
    }
}

/// The methods of a process by their ids: the router.
package struct MethodTable: Sendable {
    private let entries: [UInt32: MethodEntry]

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
    }

    package subscript(id: UInt32) -> MethodEntry? { entries[id] }

    /// Calls let in and not yet ended, by the method's id.
    package var load: [(id: UInt32, calls: Int)] { entries.map { ($0.key, $0.value.running.current) } }

    package var descriptors: [MethodDescriptor] { entries.values.map(\.descriptor) }
}
