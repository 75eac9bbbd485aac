import RPCClient
import RPCCore
import ServiceClients
import ServiceKit

/// A running process that a command asks.
struct LiveTarget: Sendable {
    let process: ServiceName
    let location: PeerLocation

    var text: String { "\(process.rawValue) at \(location.configText)" }

    /// What a person may write: a service's name, or `auth@host:port` for one that configuration does not know.
    init(_ text: String, settings: OperatorSettings) throws {
        let parts = text.split(separator: "@", maxSplits: 1).map(String.init)
        guard let process = parts.first.flatMap(ServiceName.init(rawValue:)) else {
            let names = Self.names.joined(separator: ", ")
            throw CommandFailure("--target is \"\(text)\"; it takes \(names), or NAME@host:port.", status: 64)
        }
        self.process = process
        guard parts.count == 2 else {
            location = try settings.location(of: process)
            return
        }
        guard let location = PeerLocation(parts[1]) else {
            throw CommandFailure("\"\(parts[1])\" is no address; write host:port.", status: 64)
        }
        self.location = location
    }

    /// The one that is named, else all that configuration knows.
    static func all(_ named: String?, settings: OperatorSettings) throws -> [LiveTarget] {
        try (named.map { [$0] } ?? names).map { try LiveTarget($0, settings: settings) }
    }

    static var names: [String] { ServiceName.allCases.map(\.rawValue) }

    /// Runs `body` with a connection to the process.
    func connected<Value: Sendable>(
        _ settings: OperatorSettings, cert: String, _ body: (ClientPool) async throws(RPCError) -> Value
    ) async throws -> Result<Value, RPCError> {
        let pool = try ClientPool(
            service: process.rawValue, resolver: location.resolver, tls: settings.identity(cert),
            options: ClientOptions(connections: 1))
        let result: Result<Value, RPCError>
        do throws(RPCError) { result = .success(try await body(pool)) } catch { result = .failure(error) }
        await pool.shutdown()
        return result
    }
}

extension CallOptions {
    /// For a question that a person waits for: fails at once when nobody is there.
    static var question: CallOptions {
        var options = CallOptions(timeout: .seconds(5))
        options.waitForReady = false
        return options
    }
}
