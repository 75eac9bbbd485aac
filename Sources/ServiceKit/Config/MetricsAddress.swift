/// Where a process shows its metrics: an address, or nowhere.
package struct MetricsAddress: ConfigValue, Hashable {
    private static let off = "off"

    /// Nil for nowhere.
    package let address: ListenAddress?

    package init(_ address: ListenAddress?) { self.address = address }

    package static var allowed: String { "\(ListenAddress.allowed), or `\(off)`" }

    package init?(raw: RawConfigValue) {
        if case .text(Self.off) = raw {
            self.init(nil as ListenAddress?)
        } else {
            guard let address = ListenAddress(raw: raw) else { return nil }
            self.init(address)
        }
    }

    package var configText: String { address?.configText ?? Self.off }
}
