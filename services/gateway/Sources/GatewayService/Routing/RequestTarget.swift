/// What a request asks for: the path in pieces and the query in pairs, each decoded exactly once.
///
/// The path is cut at its slashes before anything is decoded, so an encoded slash never makes a piece of its own, and
/// nothing is normalized: `//`, `.` and a trailing slash stay what they are and match no route (RFC 3986, section 6).
package struct RequestTarget: Sendable, Hashable {
    /// Bytes of the longest target.
    package static let maximumLength = 8192
    /// Pairs in the largest query.
    package static let maximumPairs = 64

    package struct Pair: Sendable, Hashable {
        package let name: String
        package let value: String
    }

    package let segments: [String]
    package let query: [Pair]

    /// - Throws: `Flaw`, for the answer to say.
    package init(parsing target: String) throws(Flaw) {
        guard target.utf8.count <= Self.maximumLength else { throw .tooLong }
        let origin = Self.originForm(target)
        guard origin.utf8.first == UInt8(ascii: "/") else { throw .notAPath }
        let parts = origin.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.segments = try Self.segments(parts[0])
        self.query = parts.count > 1 ? try Self.pairs(parts[1]) : []
    }

    package enum Flaw: Error, Hashable {
        case tooLong
        case notAPath
        case badEscape
        case tooManyParameters

        /// A sentence for the client.
        package var sentence: String {
            switch self {
            case .tooLong: "The request target is longer than \(RequestTarget.maximumLength) bytes."
            case .notAPath: "The request target is not a path."
            case .badEscape: "The path or the query holds an invalid percent-escape, control character or UTF-8."
            case .tooManyParameters: "The query has more than \(RequestTarget.maximumPairs) parameters."
            }
        }
    }

    /// Takes scheme and authority off the absolute form, which every server must accept (RFC 9112, section 3.2.2).
    private static func originForm(_ target: String) -> Substring {
        for scheme in ["https://", "http://"] where target.hasPrefix(scheme) {
            let rest = target.dropFirst(scheme.count)
            return rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        return target[...]
    }

    private static func segments(_ path: Substring) throws(Flaw) -> [String] {
        var segments: [String] = []
        for piece in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let segment = PercentCoding.decode(piece) else { throw .badEscape }
            segments.append(segment)
        }
        return segments
    }

    private static func pairs(_ query: Substring) throws(Flaw) -> [Pair] {
        var pairs: [Pair] = []
        for piece in query.split(separator: "&") {
            let halves = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentCoding.decodeQuery(halves[0]),
                let value = PercentCoding.decodeQuery(halves.count > 1 ? halves[1] : "")
            else { throw .badEscape }
            guard pairs.count < Self.maximumPairs else { throw .tooManyParameters }
            pairs.append(Pair(name: name, value: value))
        }
        return pairs
    }
}
