import CLinux
import Contracts
import RPCCore
import SwiftProtobuf

/// A batch request as it came in: what holds for all items is decoded, the items stay where they are.
///
/// All batches of the contract have their items in field 2, and an item has nothing but bytes: a plaintext, ciphertext or message
/// in field 1, a context or MAC in field 2.
struct Batch<Head: ContractMessage> {
    /// The request without its items.
    let head: Head
    /// Each item, where it came in; of too many those that tell it.
    let items: [BatchItem]

    var count: Int { items.count }

    private static var itemsField: Int { 2 }
    /// As many items as tell that there are too many, whatever the contract's limit is.
    private static var mostCounted: Int { 1 << 14 }

    /// - Parameters:
    ///   - bytes: Good for as long as the batch is used.
    ///   - items: Where the request has its items.
    /// - Throws: `RPCError` INVALID_ARGUMENT for bytes that are no such request or break the contract.
    init<Item: Message>(
        _ bytes: UnsafeRawBufferPointer, of method: MethodDescriptor, items: WritableKeyPath<Head, [Item]>
    ) throws {
        var (rest, found) = ([UInt8](), [BatchItem]())
        do throws(EncodedFields.Malformed) {
            var fields = EncodedFields(bytes)
            while let field = try fields.next() {
                if field.number == Self.itemsField, let item = field.bytes {
                    // Items are often of one length: where the ones after the next will begin, while this one is looked at. Their
                    // heads are far apart, and reading each would wait for memory.
                    lockstep_prefetch(item.baseAddress, 3 * field.encoded.count - 8)
                    lockstep_prefetch(item.baseAddress, 3 * field.encoded.count + 8)
                    let item = try BatchItem(item)
                    if found.count < Self.mostCounted { found.append(item) }
                } else {
                    rest += field.encoded
                }
            }
        } catch {
            throw method.malformedRequest(Head.self)
        }
        var head: Head = try Self.decode(rest, of: method)
        head[keyPath: items] = Array(repeating: Item(), count: Self.standIns(for: found.count))
        let violations = head.contractViolations()
        guard violations.isEmpty else { throw RPCError.invalid(violations) }
        head[keyPath: items] = []
        (self.head, self.items) = (head, found)
    }

    /// As many items as break the contract's bounds exactly when `count` does: a thousand empty ones would take as long to make as
    /// some of those that came to decrypt.
    private static func standIns(for count: Int) -> Int {
        let field = Head.contractDescriptor.fields.first { $0.number == itemsField }
        let (least, most) = (field?.minLength ?? 0, field?.maxLength ?? .max)
        return count > most ? most + 1 : min(count, max(least, 1))
    }

    private static func decode(_ bytes: [UInt8], of method: MethodDescriptor) throws(RPCError) -> Head {
        do { return try Head(serializedBytes: bytes) } catch { throw method.malformedRequest(Head.self) }
    }
}

/// One item of a batch, where it came in.
struct BatchItem {
    /// The plaintext, the ciphertext or the message.
    private(set) var subject = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The context, or the MAC.
    private(set) var companion = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Of a field that comes twice the last one counts, as protobuf has it.
    init(_ bytes: UnsafeRawBufferPointer) throws(EncodedFields.Malformed) {
        var fields = EncodedFields(bytes)
        while let field = try fields.next() {
            guard let bytes = field.bytes else { continue }
            switch field.number {
            case 1: subject = bytes
            case 2: companion = bytes
            default: break
            }
        }
    }
}

/// The answer to a batch, written result by result: all answers of batches have their results in field 1.
struct BatchResults {
    private(set) var message: EncodedMessage
    private(set) var count = 0

    /// - Parameter capacity: What the results take, in bytes, when none fails.
    init(capacity: Int) { message = EncodedMessage(capacity: capacity) }

    /// A result whose field 1 has `size` bytes, which `fill` writes where they stay, and whose field 2 is the key's version, where there
    /// is one. Nothing is added when it throws.
    mutating func append(
        size: Int, version: UInt32? = nil, _ fill: (UnsafeMutableRawBufferPointer) throws(EncryptionError) -> Void
    ) throws(EncryptionError) {
        // Empty fields are left out, as protobuf has it.
        let content = size > 0 ? EncodedFieldWriter.size(1, count: size) : 0
        let version = version.flatMap { $0 > 0 ? UInt64($0) : nil }
        let whole = content + (version.map { EncodedFieldWriter.size(2, $0) } ?? 0)
        try message.append(room: EncodedFieldWriter.size(1, count: whole)) { writer throws(EncryptionError) in
            writer.begin(1, count: whole)
            try fill(size > 0 ? writer.append(1, count: size) : UnsafeMutableRawBufferPointer(start: nil, count: 0))
            if let version { writer.append(2, version) }
        }
        count += 1
    }

    /// A result of `VerifyMAC`: what is false is left out, as protobuf has it.
    mutating func append(valid: Bool) {
        message.append(room: 4) { writer in
            writer.begin(1, count: valid ? 2 : 0)
            if valid { writer.append(1, 1) }
        }
        count += 1
    }

    /// A result that is no matter of many bytes: an error, or a few.
    mutating func append(_ result: some Message) throws {
        let bytes: [UInt8] = try result.serializedBytes()
        message.append(room: EncodedFieldWriter.size(1, count: bytes.count)) { writer in
            writer.begin(1, count: bytes.count)
            writer.append(bytes)
        }
        count += 1
    }
}
