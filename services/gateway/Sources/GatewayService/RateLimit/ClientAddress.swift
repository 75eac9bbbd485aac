package import ServiceKit

/// A block of addresses in CIDR form, `10.0.0.0/8`; an address alone is a block of one.
package struct AddressBlock: Sendable, Hashable {
    private let bytes: [UInt8]
    private let bits: Int

    /// Nil for text that is no block.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = ClientAddress(String(parts[0])) else { return nil }
        let all = address.bytes.count * 8
        guard let bits = parts.count > 1 ? Int(parts[1]) : all, (0...all).contains(bits) else { return nil }
        self.bytes = address.bytes
        self.bits = bits
    }

    package func contains(_ address: ClientAddress) -> Bool {
        guard address.bytes.count == bytes.count else { return false }
        return (0..<bits).allSatisfy { bit in
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            return address.bytes[bit / 8] & mask == bytes[bit / 8] & mask
        }
    }
}

/// The proxies whose word about the client's address counts. By default none: a header is what anybody can write.
package struct TrustedProxies: Sendable {
    private let blocks: [AddressBlock]

    package init(_ blocks: [AddressBlock]) { self.blocks = blocks }

    /// The client's address: the peer's, or behind trusted proxies the last address in `X-Forwarded-For` that is not
    /// one of theirs. Each proxy appends who called it, so everything before that one is hearsay.
    package func client(peer: String, forwardedFor: [String]) -> String {
        guard trusts(peer) else { return peer }
        var client = peer
        for hop in forwardedFor.flatMap({ $0.split(separator: ",") }).reversed() {
            let text = hop.trimmingSpaces
            guard ClientAddress(text) != nil else { return client }
            client = text
            if !trusts(text) { return client }
        }
        return client
    }

    private func trusts(_ text: String) -> Bool {
        guard let address = ClientAddress(text) else { return false }
        return blocks.contains { $0.contains(address) }
    }
}

extension Substring {
    /// Without the optional white space of header lists.
    fileprivate var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        let tail = drop(while: isSpace)
        return String(tail.prefix(tail.count - tail.reversed().prefix(while: isSpace).count))
    }
}
