import RPCTransport

/// A host and a port: `127.0.0.1:7101`, `[::1]:7101`, `auth.internal:7101`.
package struct ListenAddress: ConfigValue, Hashable, CustomStringConvertible {
    package let host: String
    /// 0 for any that is free.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package static var allowed: String { "an address such as 127.0.0.1:7101" }

    package init?(raw: RawConfigValue) {
        guard case .text(let text) = raw else { return nil }
        self.init(text)
    }

    package init?(_ text: String) {
        guard let address = HostPort(text) else { return nil }
        self.init(host: address.host, port: address.port)
    }

    package var configText: String { HostPort(host: host, port: port).description }
    package var description: String { configText }
}
