import Glibc

/// The network address of a client, as far as limits are concerned: an IPv6 client owns its whole /64, an IPv4-mapped
/// one is its IPv4 address.
package struct ClientAddress: Sendable, Hashable {
    /// 4 or 16 bytes.
    package let bytes: [UInt8]

    /// Nil for text that is no IP address.
    package init?(_ text: String) {
        if let four = Self.parse(text, family: AF_INET, count: 4) {
            self.bytes = four
        } else if let sixteen = Self.parse(text, family: AF_INET6, count: 16) {
            self.bytes = sixteen.starts(with: Self.mappedPrefix) ? Array(sixteen.suffix(4)) : sixteen
        } else {
            return nil
        }
    }

    /// What a bucket is kept for: the address, or the /64 of an IPv6 one.
    package var bucketKey: String {
        let owned = bytes.count == 4 ? bytes : Array(bytes.prefix(8))
        return "ip:" + owned.map { String($0, radix: 16) }.joined(separator: ".")
    }

    /// The address's site: the /48 of an IPv6 address, the /24 of an IPv4 one. What one customer can have many of.
    package var siteKey: String {
        let prefix = bytes.prefix(bytes.count == 4 ? 3 : 6)
        return "site:" + prefix.map { String($0, radix: 16) }.joined(separator: ".")
    }

    private static let mappedPrefix: [UInt8] = Array(repeating: 0, count: 10) + [0xff, 0xff]

    private static func parse(_ text: String, family: Int32, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }
}
