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
        /// W3C Trace Context.
        case traceparent = 3
        /// Which attempt at the same call this is, from 1: four bytes, big-endian.
        case attempt = 4
        /// The outside client's address. Personal data.
        case clientAddress = 5
        /// The outside client's own name for itself. Personal data.
        case userAgent = 6
    }

    package init() {
        encoded = ByteBuffer()
    }

    package var isEmpty: Bool { encoded.readableBytes == 0 }
    /// Encoded size, bytes: what `maxMetadataSize` limits.
    package var byteCount: Int { encoded.readableBytes }
    package var entryCount: Int {
        var count = 0
        forEachEntry { _ in count += 1 }
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
        var rest = encoded
        while let entry = MetadataEntry(from: &rest) {
            if entry.number == key.rawValue { return entry.value }
        }
        return nil
    }

    /// The same as text.
    package func text(_ key: WellKnown) -> String? {
        value(key).map { String(buffer: $0) }
    }

    /// Which attempt at the same call this is; nil when the caller did not say.
    package var attempt: UInt32? {
        value(.attempt)?.getInteger(at: 0)
    }

    /// Calls `body` with every entry that has a text key, in order.
    package func forEachText(_ body: (_ key: String, _ value: ByteBuffer) -> Void) {
        forEachEntry { entry in
            guard let key = entry.key else { return }
            body(String(buffer: key), entry.value)
        }
    }

    private func forEachEntry(_ body: (MetadataEntry) -> Void) {
        var rest = encoded
        while let entry = MetadataEntry(from: &rest) { body(entry) }
    }

    private mutating func writeValue(_ value: some Collection<UInt8>) {
        encoded.writeInteger(UInt16(clamping: value.count))
        encoded.writeBytes(value)
    }

    private mutating func remove(_ key: WellKnown) {
        guard value(key) != nil else { return }
        var kept = ByteBuffer()
        forEachEntry { entry in
            if entry.number != key.rawValue { entry.write(to: &kept) }
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
        var rest = encoded
        var seen: UInt64 = 0
        var count = 0
        while rest.readableBytes > 0 {
            guard let entry = MetadataEntry(from: &rest) else { throw Self.invalid(61, "an entry is cut short") }
            count += 1
            guard count <= WireLimits.maxMetadataEntries else {
                throw .call(
                    WireStatusCode.resourceExhausted, 62,
                    "more than \(WireLimits.maxMetadataEntries) metadata entries")
            }
            try Self.validate(entry, seen: &seen)
        }
    }

    private static func validate(_ entry: MetadataEntry, seen: inout UInt64) throws(WireViolation) {
        if let key = entry.key { return try validateTextKey(key) }
        guard let known = WellKnown(rawValue: entry.number) else { return }
        let bit: UInt64 = 1 << UInt64(known.rawValue)
        guard seen & bit == 0 else { throw invalid(64, "entry \(known.rawValue) is there twice") }
        seen |= bit
        try validateWellKnown(known, entry.value)
    }

    private static func validateTextKey(_ key: ByteBuffer) throws(WireViolation) {
        guard (1...WireLimits.maxMetadataKeySize).contains(key.readableBytes) else {
            throw invalid(63, "a key of \(key.readableBytes) bytes, not 1 to \(WireLimits.maxMetadataKeySize)")
        }
        let legal = key.readableBytesView.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard legal else { throw invalid(63, "a key has a character outside a-z, 0-9 and -") }
    }

    private static func validateWellKnown(_ key: WellKnown, _ value: ByteBuffer) throws(WireViolation) {
        switch key {
        case .attempt:
            guard value.readableBytes == 4 else { throw invalid(65, "entry 4 must have four bytes") }
        case .userIdentity:
            guard value.readableBytes <= maxIdentitySize else {
                throw invalid(65, "entry 1 is longer than \(maxIdentitySize) bytes")
            }
        case .requestID, .traceparent, .clientAddress, .userAgent:
            guard value.readableBytes <= maxWellKnownSize else {
                throw invalid(65, "entry \(key.rawValue) is longer than \(maxWellKnownSize) bytes")
            }
            guard String(validating: value.readableBytesView, as: UTF8.self) != nil else {
                throw invalid(65, "entry \(key.rawValue) is not UTF-8")
            }
        }
    }

    private static func invalid(_ rule: UInt16, _ reason: String) -> WireViolation {
        .call(WireStatusCode.invalidArgument, rule, "metadata: \(reason)")
    }
}

/// One entry of a block: `number:u8`, for number 0 `key length:u8 key`, then `value length:u16 value`.
private struct MetadataEntry {
    static let textKey: UInt8 = 0

    let number: UInt8
    let key: ByteBuffer?
    let value: ByteBuffer

    /// Reads one entry; nil at the end, and when the entry is cut short.
    init?(from block: inout ByteBuffer) {
        guard let number = block.readInteger(as: UInt8.self) else { return nil }
        self.number = number
        if number == Self.textKey {
            guard let name = block.readLengthPrefixedSlice(as: UInt8.self) else { return nil }
            key = name
        } else {
            key = nil
        }
        guard let value = block.readLengthPrefixedSlice(as: UInt16.self) else { return nil }
        self.value = value.slice()
    }

    func write(to block: inout ByteBuffer) {
        block.writeInteger(number)
        if let key {
            block.writeInteger(UInt8(clamping: key.readableBytes))
            block.writeImmutableBuffer(key)
        }
        block.writeInteger(UInt16(clamping: value.readableBytes))
        block.writeImmutableBuffer(value)
    }
}
