import Foundation
import SwiftProtobuf

extension Message {
    /// From a case; names as in the .proto.
    init(json value: JSONValue) throws(CaseError) {
        do {
            try self.init(jsonString: value.text)
        } catch {
            throw CaseError(
                "\(Self.protoMessageName.split(separator: ".").last ?? "message"): \(error) in \(value.text)")
        }
    }

    /// For comparison with what a case expects; names as in the .proto, defaults absent.
    var json: JSONValue {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        options.alwaysPrintEnumsAsInts = true
        guard let data: Data = try? jsonUTF8Data(options: options), let value = try? JSONValue(json: data) else {
            return .null
        }
        return value
    }
}
