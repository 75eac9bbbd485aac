/// Finds what somebody meant to write.
package enum EditDistance {
    /// The closest of `candidates`, when it is close.
    package static func closest(to text: String, of candidates: some Sequence<String>) -> String? {
        let limit = max(2, text.count / 4)
        return candidates.map { ($0, between(text, $0)) }
            .filter { $0.1 <= limit }
            .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
    }

    /// Insertions, deletions and substitutions between two texts (Levenshtein).
    package static func between(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, character) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let substitution = diagonal + (character == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }
}
