package import NIOCore

/// What travels beside a message: well-known entries by number, others by text key; values are bytes.
///
/// It stays in its encoded form (WIRE.md section 7): a call without metadata costs nothing, and reading one entry is
/// a scan without allocation. Bytes of a peer become a value only through `init(validating:)`.
package struct WireMetadata: Equatable, Sendable {
    private(set) var encoded: ByteBuffer

    /// Entries with a number instead of a key.
    package enum WellKnown: UInt8, Sendable, CaseIterable {
        /// The end user's identity: a token signed by the gateway.
        case userIdentity = 1
        case requestID = 2
        /// W3C Trace Context: which trace, and the caller's place in it.
        case traceparent = 3
        /// Which attempt at the same call this is, from 1: four bytes, big-endian.
        case attempt = 4
        /// The outside client's address. Personal data.
        case clientAddress = 5
        /// The outside client's own name for itself. Personal data.
        case userAgent = 6
        /// W3C Trace Context: what tracing systems say to each other.
        case tracestate = 7
    }

    package init() {
        encoded = ByteBuffer()
    }

    /// Takes all entries out and keeps the memory.
    package mutating func clear() { encoded.clear() }

    package var isEmpty: Bool { encoded.readableBytes == 0 }
    /// Encoded size, bytes: what `maxMetadataSize` limits.
    package var byteCount: Int { encoded.readableBytes }
    package var entryCount: Int {
        var count = 0
        forEachEntry { _, _ in count += 1 }
        return count
    }

    /// Sets a well-known entry, in place of an earlier one.
    package mutating func set(_ key: WellKnown, _ value: some Collection<UInt8>) {
        remove(key)
        encoded.writeInteger(key.rawValue)
        writeValue(value)
    }

    /// Sets a well-known entry to the UTF-8 bytes of `text`.
    package mutating func set(_ key: WellKnown, _ text: String) {
        set(key, text.utf8)
    }

    /// Sets a well-known entry that is not there yet.
    package mutating func add(_ key: WellKnown, _ text: String) {
        encoded.reserveCapacity(minimumWritableBytes: 3 + text.utf8.count)
        encoded.writeInteger(key.rawValue)
        encoded.writeInteger(UInt16(clamping: text.utf8.count))
        encoded.writeString(text)
    }

    /// The same for `size` bytes that `body` writes, all of them.
    package mutating func add(_ key: WellKnown, size: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        encoded.writeWithUnsafeMutableBytes(minimumWritableBytes: 3 + size) { bytes in
            bytes.storeBytes(of: key.rawValue, as: UInt8.self)
            bytes.storeBytes(of: UInt16(clamping: size).bigEndian, toByteOffset: 1, as: UInt16.self)
            body(UnsafeMutableRawBufferPointer(rebasing: bytes[3..<3 + size]))
            return 3 + size
        }
    }

    /// Which attempt at the same call this is, from 1.
    package mutating func setAttempt(_ attempt: UInt32) {
        set(.attempt, withUnsafeBytes(of: attempt.bigEndian) { Array($0) })
    }

    /// Adds an entry with a text key behind the others. Keys may repeat; the order is kept.
    ///
    /// A key or size that WIRE.md refuses is reported by `startCall`, not here.
    package mutating func append(_ key: String, _ value: some Collection<UInt8>) {
        encoded.writeInteger(MetadataEntry.textKey)
        encoded.writeInteger(UInt8(clamping: key.utf8.count))
        encoded.writeString(key)
        writeValue(value)
    }

    /// The bytes of a well-known entry, if it is there.
    package func value(_ key: WellKnown) -> ByteBuffer? {
        guard let entry = entry(key) else { return nil }
        return encoded.getSlice(at: encoded.readerIndex + entry.value.lowerBound, length: entry.value.count)
    }

    /// The same as text.
    package func text(_ key: WellKnown) -> String? {
        guard let entry = entry(key) else { return nil }
        return encoded.withUnsafeReadableBytes { String(decoding: $0[entry.value], as: UTF8.self) }
    }

    /// Which attempt at the same call this is; nil when the caller did not say.
    package var attempt: UInt32? {
        value(.attempt)?.getInteger(at: 0)
    }

    /// Calls `body` with every entry that has a text key, in order.
    package func forEachText(_ body: (_ key: String, _ value: ByteBuffer) -> Void) {
        forEachEntry { entry, bytes in
            guard let key = entry.key else { return }
            body(String(decoding: bytes[key], as: UTF8.self), ByteBuffer(bytes: bytes[entry.value]))
        }
    }

    /// Calls `body` with every entry in one pass, as its bytes lie: the value, and the text key or the number of what
    /// is well known. Numbers that this version does not know are left out.
    package func forEach(_ body: (Key, UnsafeRawBufferPointer.SubSequence) -> Void) {
        forEachEntry { entry, bytes in
            if let key = entry.key {
                body(.text(bytes[key]), bytes[entry.value])
            } else if let known = WellKnown(rawValue: entry.number) {
                body(.wellKnown(known), bytes[entry.value])
            }
        }
    }

    /// What an entry is called.
    package enum Key {
        case wellKnown(WellKnown)
        case text(UnsafeRawBufferPointer.SubSequence)
    }

    private func entry(_ key: WellKnown) -> MetadataEntry? {
        encoded.withUnsafeReadableBytes { bytes in
            var offset = 0
            while let entry = MetadataEntry(in: bytes, at: &offset) {
                if entry.number == key.rawValue { return entry }
            }
            return nil
        }
    }

    private func forEachEntry(_ body: (MetadataEntry, UnsafeRawBufferPointer) -> Void) {
        encoded.withUnsafeReadableBytes { bytes in
            var offset = 0
            while let entry = MetadataEntry(in: bytes, at: &offset) { body(entry, bytes) }
        }
    }

    private mutating func writeValue(_ value: some Collection<UInt8>) {
        encoded.writeInteger(UInt16(clamping: value.count))
        encoded.writeBytes(value)
    }

    private mutating func remove(_ key: WellKnown) {
        guard let entry = entry(key) else { return }
        var kept = ByteBuffer()
        encoded.withUnsafeReadableBytes { bytes in
            _ = kept.writeBytes(bytes[..<entry.whole.lowerBound])
            _ = kept.writeBytes(bytes[entry.whole.upperBound...])
        }
        encoded = kept
    }
}

extension WireMetadata {
    /// The longest value of the user identity entry, bytes.
    static let maxIdentitySize = 4096
    /// The longest value of any other well-known entry, bytes.
    static let maxWellKnownSize = 512

    /// Takes a peer's block after checking all of it.
    ///
    /// - Throws: a call error, W-60 ... W-65; the connection is unharmed, since the block's length was known.
    package init(validating block: ByteBuffer, maxSize: UInt32) throws(WireViolation) {
        encoded = block
        guard !isEmpty else { return }
        try validate(maxSize: maxSize)
    }

    /// - Throws: what is wrong with the block, by the rules W-60 ... W-65.
    func validate(maxSize: UInt32) throws(WireViolation) {
        guard byteCount <= maxSize else {
            throw .call(
                WireStatusCode.resourceExhausted, 60, "metadata of \(byteCount) bytes, the limit is \(maxSize)")
        }
        // The closure gives the fault back instead of throwing it: closures of this kind cannot throw a typed error.
        if let fault = encoded.withUnsafeReadableBytes({ Self.fault(in: $0) }) { throw fault }
    }

    private static func fault(in bytes: UnsafeRawBufferPointer) -> WireViolation? {
        var (seen, count, offset): (UInt64, Int, Int) = (0, 0, 0)
        while offset < bytes.count {
            guard let entry = MetadataEntry(in: bytes, at: &offset) else { return invalid(61, "an entry is cut short") }
            count += 1
            guard count <= WireLimits.maxMetadataEntries else {
                return .call(
                    WireStatusCode.resourceExhausted, 62,
                    "more than \(WireLimits.maxMetadataEntries) metadata entries")
            }
            if let fault = fault(in: entry, bytes, seen: &seen) { return fault }
        }
        return nil
    }

    private static func fault(
        in entry: MetadataEntry, _ bytes: UnsafeRawBufferPointer, seen: inout UInt64
    ) -> WireViolation? {
        if let key = entry.key { return fault(inKey: bytes[key]) }
        guard let known = WellKnown(rawValue: entry.number) else { return nil }
        let bit: UInt64 = 1 << UInt64(known.rawValue)
        guard seen & bit == 0 else { return invalid(64, "entry \(known.rawValue) is there twice") }
        seen |= bit
        return fault(in: known, bytes[entry.value])
    }

    private static func fault(inKey key: Slice<UnsafeRawBufferPointer>) -> WireViolation? {
        guard (1...WireLimits.maxMetadataKeySize).contains(key.count) else {
            return invalid(63, "a key of \(key.count) bytes, not 1 to \(WireLimits.maxMetadataKeySize)")
        }
        let legal = key.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        return legal ? nil : invalid(63, "a key has a character outside a-z, 0-9 and -")
    }

    private static func fault(in key: WellKnown, _ value: Slice<UnsafeRawBufferPointer>) -> WireViolation? {
        switch key {
        case .attempt: value.count == 4 ? nil : invalid(65, "entry 4 must have four bytes")
        case .userIdentity:
            value.count <= maxIdentitySize ? nil : invalid(65, "entry 1 is longer than \(maxIdentitySize) bytes")
        case .requestID, .traceparent, .clientAddress, .userAgent, .tracestate: faultOfText(key, value)
        }
    }

    private static func faultOfText(_ key: WellKnown, _ value: Slice<UnsafeRawBufferPointer>) -> WireViolation? {
        guard value.count <= maxWellKnownSize else {
            return invalid(65, "entry \(key.rawValue) is longer than \(maxWellKnownSize) bytes")
        }
        // ASCII is UTF-8, and nearly always all there is.
        guard UnsafeRawBufferPointer(rebasing: value).isASCII || String(validating: value, as: UTF8.self) != nil else {
            return invalid(65, "entry \(key.rawValue) is not UTF-8")
        }
        return nil
    }

    private static func invalid(_ rule: UInt16, _ reason: String) -> WireViolation {
        .call(WireStatusCode.invalidArgument, rule, "metadata: \(reason)")
    }
}

extension UnsafeRawBufferPointer {
    /// Eight bytes at a time.
    fileprivate var isASCII: Bool {
        var (bits, offset): (UInt64, Int) = (0, 0)
        while offset + 8 <= count {
            bits |= loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < count {
            bits |= UInt64(self[offset])
            offset += 1
        }
        return bits & 0x8080_8080_8080_8080 == 0
    }
}

/// One entry of a block, by its places there: `number:u8`, for number 0 `key length:u8 key`, then `value length:u16
/// value`.
private struct MetadataEntry {
    static let textKey: UInt8 = 0

    let number: UInt8
    let key: Range<Int>?
    let value: Range<Int>
    let whole: Range<Int>

    /// Reads one entry; nil at the end, and when the entry is cut short.
    init?(in block: UnsafeRawBufferPointer, at offset: inout Int) {
        var cursor = offset
        guard cursor < block.count else { return nil }
        number = block[cursor]
        cursor += 1
        if number == Self.textKey {
            guard cursor < block.count else { return nil }
            let start = cursor + 1
            cursor = start + Int(block[cursor])
            key = start..<cursor
        } else {
            key = nil
        }
        guard cursor + 2 <= block.count else { return nil }
        let start = cursor + 2
        let end = start + Int(block[cursor]) << 8 + Int(block[cursor + 1])
        guard end <= block.count else { return nil }
        value = start..<end
        whole = offset..<end
        offset = end
    }
}
