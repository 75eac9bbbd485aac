/// Where a page stands, as browsers write it (HTML, section 7.1.1): scheme, host and a port that is not the scheme's own.
struct PageOrigin: Sendable, Hashable {
    let host: String

    /// - Returns: nil for what no browser writes, and for pages that browsers give no passkeys: other than `https`, but for
    ///   those of this machine.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].hasPrefix("//"), parts[0] == "https" || parts[0] == "http" else { return nil }
        let place = parts[1].dropFirst(2).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = place.first.map(String.init), Self.isDomain(host) else { return nil }
        guard parts[0] == "https" || host == Self.thisMachine else { return nil }
        if place.count == 2 {
            guard let port = UInt16(place[1]), port > 0, String(port) == place[1], port != (parts[0] == "https" ? 443 : 80)
            else { return nil }
        }
        self.host = host
    }

    /// Whether passkeys of `domain` are for its pages.
    func isOf(_ domain: String) -> Bool { host == domain || host.hasSuffix("." + domain) }

    /// A name that passkeys can be bound to, in lower case: at least two labels, the last no number, so no IP address; or
    /// `localhost`.
    static func isDomain(_ text: String) -> Bool {
        if text == thisMachine { return true }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, labels.count >= 2, let last = labels.last, last.utf8.first.map(isLetter) == true else {
            return false
        }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        }
    }

    private static let thisMachine = "localhost"

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) }
}
