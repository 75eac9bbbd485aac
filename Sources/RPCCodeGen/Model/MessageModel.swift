import SwiftProtobufPluginLibrary

/// One message and what its fields' options say.
struct MessageModel {
    let descriptor: Descriptor

    init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    var fullName: String { descriptor.fullName }
    var fields: [FieldModel] { descriptor.fields.sorted { $0.number < $1.number }.map(FieldModel.init) }

    /// Whether there is anything to check of the message and of what it holds.
    var hasRules: Bool { closure.contains { $0.fields.contains(where: \.hasRules) } }

    /// This message and all that its fields hold, each once, in order of first mention.
    var closure: [MessageModel] {
        var found: [MessageModel] = [self]
        var next = 0
        while next < found.count {
            for inner in found[next].fields.compactMap(\.message)
            where !found.contains(where: { $0.descriptor === inner.descriptor }) {
                found.append(inner)
            }
            next += 1
        }
        return found
    }
}
