import Foundation
import SwiftProtobuf

extension ContractMessage {
    /// The message as protobuf's JSON with proto field names, and with the fields that protobuf leaves out because they
    /// have their default: a reader of JSON looks for `"verified": false` and `"items": []`.
    func contractJSON() throws -> [UInt8] {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        let sparse: [UInt8] = try jsonUTF8Bytes(options: options)
        guard let object = try JSONSerialization.jsonObject(with: Data(sparse)) as? [String: Any] else { return sparse }
        let full = Self.contractDescriptor.completed(object)
        return Array(
            try JSONSerialization.data(withJSONObject: full, options: [.sortedKeys, .withoutEscapingSlashes]))
    }
}

extension MessageDescriptor {
    /// `object` with the defaults of the fields that it lacks, all the way down.
    fileprivate func completed(_ object: [String: Any]) -> [String: Any] {
        var object = object
        for field in fields {
            object[field.name] = object[field.name].map(field.completed) ?? field.jsonDefault
        }
        return object
    }
}

extension FieldDescriptor {
    fileprivate func completed(_ value: Any) -> Any {
        guard case .message(let descriptor) = kind else { return value }
        switch (arity, value) {
        case (.single, let object as [String: Any]): return descriptor().completed(object)
        case (.list, let objects as [[String: Any]]): return objects.map(descriptor().completed)
        case (.map, let objects as [String: [String: Any]]): return objects.mapValues(descriptor().completed)
        default: return value
        }
    }

    /// What JSON shows for an unset field; nil for nothing.
    fileprivate var jsonDefault: Any? {
        switch arity {
        case .list: return [Any]()
        case .map: return [String: Any]()
        case .single: if hasPresence { return nil }
        }
        switch kind {
        case .bool: return false
        case .int32, .uint32, .float, .double: return 0
        case .int64, .uint64: return "0"
        case .string, .bytes: return ""
        case .enumeration(_, let values): return values.first
        case .message, .timestamp, .duration: return nil
        }
    }
}
