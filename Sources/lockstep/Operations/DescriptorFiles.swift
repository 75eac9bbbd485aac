import Foundation
import RPCCodeGen
import SwiftProtobuf

/// The .proto files of a service, as it was built with them.
struct DescriptorFiles {
    private let files: [Google_Protobuf_FileDescriptorProto]

    /// - Parameter encoded: Those that do not decode are left out: a description then lacks what they say.
    init(_ encoded: [Data]) {
        files = encoded.compactMap {
            try? Google_Protobuf_FileDescriptorProto(serializedBytes: $0, extensions: ContractOptions_Extensions)
        }
    }

    /// What the file says above a service.
    func comment(service name: String) -> [String] {
        for file in files {
            guard let index = file.service.firstIndex(where: { "\(file.package).\($0.name)" == name }) else { continue }
            return Self.comment(file, [6, Int32(index)])
        }
        return []
    }

    func comment(method: String, of service: String) -> [String] {
        for file in files {
            guard let index = file.service.firstIndex(where: { "\(file.package).\($0.name)" == service }),
                let place = file.service[index].method.firstIndex(where: { $0.name == method })
            else { continue }
            return Self.comment(file, [6, Int32(index), 2, Int32(place)])
        }
        return []
    }

    /// One row for each field: type, name and number, rules.
    func fields(of message: String) -> [[String]] {
        for file in files {
            for candidate in file.messageType where "\(file.package).\(candidate.name)" == message {
                return candidate.field.map(Self.row)
            }
        }
        return []
    }

    private static func row(_ field: Google_Protobuf_FieldDescriptorProto) -> [String] {
        let rules = field.options.Contractfield.textFormatString()
            .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: ", ")
        return ["\(field.label == .repeated ? "repeated " : "")\(typeName(field))", "\(field.name) = \(field.number)", rules]
    }

    private static func typeName(_ field: Google_Protobuf_FieldDescriptorProto) -> String {
        guard field.typeName.isEmpty else { return String(field.typeName.drop { $0 == "." }) }
        return "\(field.type)"
    }

    private static func comment(_ file: Google_Protobuf_FileDescriptorProto, _ path: [Int32]) -> [String] {
        let text = file.sourceCodeInfo.location.first { $0.path == path }?.leadingComments ?? ""
        return text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}
