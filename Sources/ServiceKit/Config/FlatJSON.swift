import FoundationEssentials

/// Which keys a JSON file sets, whatever their values: `{"auth": {"listen": 1}}` sets `auth.listen`.
enum FlatJSON {
    /// - Throws: `ConfigProblem.file` for text that is no JSON object.
    static func keys(of text: String, path: String) throws(ConfigProblem) -> [String] {
        guard text.drop(while: \.isWhitespace).first == "{" else {
            throw .file(path: path, problem: "is not a JSON object")
        }
        let paths: [String]
        do {
            paths = try JSONDecoder().decode(Tree.self, from: Data(text.utf8)).paths.sorted()
        } catch {
            throw .file(path: path, problem: "is not JSON: \(Self.reason(error))")
        }
        if let laxity = Laxity(in: text) { throw .file(path: path, problem: "is not JSON: \(laxity.text)") }
        // Once as `{"a": {"b": 1}}` and once as `{"a.b": 2}`.
        for (path1, path2) in zip(paths, paths.dropFirst()) where path1 == path2 {
            throw .file(path: path, problem: "sets \(path1) twice")
        }
        return paths
    }

    private static func reason(_ error: any Error) -> String {
        guard case DecodingError.dataCorrupted(let context) = error else { return "it does not parse" }
        let underlying = context.underlyingError.map { "\($0)" } ?? ""
        return underlying.isEmpty ? context.debugDescription : underlying
    }

    /// What Foundation's reader lets pass and this must not: of a name that stands there twice one value would count, and nobody
    /// would know which.
    private struct Laxity {
        let text: String

        /// Nil for JSON that has nothing of it.
        ///
        /// - Parameter json: What a lax reader takes for JSON.
        init?(in json: String) {
            // Of the open objects; nil for an open list.
            var names: [Set<String>?] = []
            var (line, last, string): (Int, UInt8, [UInt8]?) = (1, 0, nil)
            var isEscaped = false
            for byte in json.utf8 {
                if byte == UInt8(ascii: "\n") { line += 1 }
                if var open = string {
                    guard byte == UInt8(ascii: "\""), !isEscaped else {
                        isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
                        open.append(byte)
                        string = open
                        continue
                    }
                    string = nil
                    let name = String(decoding: open, as: UTF8.self)
                    let isName = last == UInt8(ascii: "{") || last == UInt8(ascii: ",")
                    if isName, let known = names.last ?? nil {
                        // Two ways to write one name would pass for two names; no setting's name needs one.
                        if open.contains(UInt8(ascii: "\\")) {
                            text = "line \(line) has a name with an escape"
                            return
                        }
                        if known.contains(name) {
                            text = "line \(line) has \"\(name)\" a second time"
                            return
                        }
                        names[names.count - 1] = known.union([name])
                    }
                    last = byte
                    continue
                }
                switch byte {
                case UInt8(ascii: "\""): string = []
                case UInt8(ascii: "{"): names.append([])
                case UInt8(ascii: "["): names.append(nil)
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if last == UInt8(ascii: ",") {
                        text = "line \(line) has a bracket after a comma"
                        return
                    }
                    _ = names.popLast()
                default: break
                }
                if byte != UInt8(ascii: "\""), ![0x20, 0x09, 0x0A, 0x0D].contains(byte) { last = byte }
            }
            return nil
        }
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
