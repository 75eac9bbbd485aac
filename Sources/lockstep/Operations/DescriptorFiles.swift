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

    /// Whether a handler reads the request where it came in.
    func isInPlace(method: String, of service: String) -> Bool {
        files.flatMap { file in file.service.filter { "\(file.package).\($0.name)" == service } }
            .flatMap(\.method).contains { $0.name == method && $0.options.Contractmethod.inPlace }
    }

    /// One row for each field: type, name and number, rules.
    func fields(of message: String) -> [[String]] { self.message(named: message)?.field.map(Self.row) ?? [] }

    /// The messages that those named hold, and what these hold, each once, in the order in which they are met.
    func messages(within names: [String]) -> [String] {
        var (found, next) = (names, 0)
        while next < found.count {
            for field in message(named: found[next])?.field ?? [] where field.type == .message {
                let name = Self.typeName(field)
                if !found.contains(name) { found.append(name) }
            }
            next += 1
        }
        return Array(found.dropFirst(names.count))
    }

    /// Those of the files that `describe` was given: a well-known type is none of them.
    private func message(named name: String) -> Google_Protobuf_DescriptorProto? {
        for file in files {
            if let found = file.messageType.first(where: { "\(file.package).\($0.name)" == name }) { return found }
        }
        return nil
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
