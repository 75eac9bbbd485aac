import FoundationEssentials

/// Which keys a JSON file sets, whatever their values: `{"auth": {"listen": 1}}` sets `auth.listen`.
enum FlatJSON {
    /// - Throws: `ConfigProblem.file` for text that is no JSON object.
    static func keys(of text: String, path: String) throws(ConfigProblem) -> [String] {
        guard text.drop(while: \.isWhitespace).first == "{" else {
            throw .file(path: path, problem: "is not a JSON object")
        }
        do {
            return try JSONDecoder().decode(Tree.self, from: Data(text.utf8)).paths.sorted()
        } catch {
            throw .file(path: path, problem: "is not JSON: \(Self.reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard case DecodingError.dataCorrupted(let context) = error else { return "it does not parse" }
        let underlying = context.underlyingError.map { "\($0)" } ?? ""
        return underlying.isEmpty ? context.debugDescription : underlying
    }

    private struct Tree: Decodable {
        var paths: [String] = []

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Name.self)
            for key in container.allKeys {
                let below = (try? container.decode(Tree.self, forKey: key))?.paths
                paths += below.map { $0.map { "\(key.stringValue).\($0)" } } ?? [key.stringValue]
            }
        }
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }
}
