package import RPCTransport

/// Where the servers of another service are, as configuration says it:
///
/// - `127.0.0.1:7101`, or several with commas between them
/// - `dns:///auth.internal:7101`: all addresses of the name, asked for again as they may change
/// - `file:///etc/lockstep/auth.peers`: the addresses that the file lists, one in each line or as a JSON list, read again
///   when it changes
package enum PeerLocation: ConfigValue, Hashable {
    case addresses([HostPort])
    case dns(HostPort)
    case file(String)

    private static let dnsPrefix = "dns:///"
    private static let filePrefix = "file://"

    package static var allowed: String {
        "an address such as 127.0.0.1:7101, several with commas between them, dns:///HOST:PORT, or file:///PATH"
    }

    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        self.init(text)
    }

    package init?(_ text: String) {
        if text.hasPrefix(Self.filePrefix) {
            let path = text.dropFirst(Self.filePrefix.count)
            guard path.hasPrefix("/"), path.count > 1 else { return nil }
            self = .file(String(path))
        } else if text.hasPrefix(Self.dnsPrefix) {
            guard let name = Self.peer(text.dropFirst(Self.dnsPrefix.count)) else { return nil }
            self = .dns(name)
        } else {
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            let addresses = parts.compactMap { Self.peer($0.drop { $0 == " " }) }
            guard addresses.count == parts.count else { return nil }
            self = .addresses(addresses)
        }
    }

    package var configText: String {
        switch self {
        case .addresses(let addresses): addresses.map(\.description).joined(separator: ",")
        case .dns(let name): Self.dnsPrefix + name.description
        case .file(let path): Self.filePrefix + path
        }
    }

    /// Nobody is at port 0.
    private static func peer(_ text: Substring) -> HostPort? {
        HostPort(text).flatMap { $0.port > 0 ? $0 : nil }
    }
}

extension ListenAddress {
    /// Where a client finds what listens here.
    package var location: PeerLocation { .addresses([HostPort(host: host, port: port)]) }
}
