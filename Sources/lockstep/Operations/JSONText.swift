import RPCCore
import SwiftProtobuf

/// Messages as one line of JSON, for machines.
enum JSONText {
    /// Protobuf's JSON with proto field names.
    static func line(_ message: some Message) throws -> String {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        return try message.jsonString(options: options)
    }

    /// The same with a text in front, for a message that does not have a field of that name set.
    static func line(_ message: some Message, with member: (name: String, text: String)) -> String {
        let line = (try? line(message)) ?? "{}"
        guard !line.hasPrefix("{\(quoted(member.name)):") else { return line }
        return "{\(quoted(member.name)):\(quoted(member.text))" + (line == "{}" ? "}" : "," + line.dropFirst())
    }

    /// A JSON object of text and numbers, keys in order.
    static func object(_ pairs: [(String, String)]) -> String {
        "{" + pairs.map { "\(quoted($0)):\($1)" }.joined(separator: ",") + "}"
    }

    /// A JSON string.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
