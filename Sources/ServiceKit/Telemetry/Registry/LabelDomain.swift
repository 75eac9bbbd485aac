package import RPCCore

/// The values that labels may have, from the contract and from lists of the program's own.
package struct LabelDomain: Sendable {
    /// What stands for a method that is not the contract's: calls that were refused for that.
    package static let unknown = "unknown"

    private let values: [MetricLabel: Set<String>]
    private let methods: Set<String>

    /// - Parameter contract: All services whose calls are measured.
    package init(contract: [ServiceDescriptor]) {
        let methods = contract.flatMap(\.methods)
        self.methods = Set(methods.map(\.fullName)).union([Self.pair(Self.unknown, Self.unknown)])
        values = [
            .service: Set(contract.map(\.name)).union([Self.unknown]),
            .method: Set(methods.map(\.name)).union([Self.unknown]),
            .code: Set(StatusCode.allCases.map(\.name)),
            .statusClass: Set((1...5).map { "\($0)xx" }),
            .queue: Set(QueueName.allCases.map(\.rawValue)),
            .operation: ["read", "write"],
            .outcome: ["ok", "error"],
        ]
    }

    /// Whether exactly the labels of `definition` are there, each with a value that it may have.
    func allows(_ dimensions: [(String, String)], for definition: MetricDefinition) -> Bool {
        guard dimensions.map(\.0) == definition.labels.map(\.rawValue) else { return false }
        guard zip(definition.labels, dimensions).allSatisfy({ values[$0]?.contains($1.1) == true }) else { return false }
        guard let service = dimensions.first(where: { $0.0 == MetricLabel.service.rawValue })?.1,
            let method = dimensions.first(where: { $0.0 == MetricLabel.method.rawValue })?.1
        else { return true }
        return methods.contains(Self.pair(service, method))
    }

    private static func pair(_ service: String, _ method: String) -> String { "\(service)/\(method)" }
}

/// Where work waits.
package enum QueueName: String, Sendable, Hashable, CaseIterable {
    /// SYNC calls, for a worker.
    case cpuPool = "cpu_pool"
    /// Calls to other services, for a connection or a free slot.
    case client
    case databaseReads = "database_reads"
    case databaseWrites = "database_writes"
}
