import NIOCore

/// HELLO: the first frame of each side. Fixed part: `magic:u32 major:u16 minor:u16 maxFrameSize:u32
/// maxConcurrentCalls:u32 connectionCredit:u32 callCredit:u32 maxMetadataSize:u32 maxMessageSize:u32
/// minPingInterval:u32 fingerprints:u16 extensions:u16`.
package struct HelloFrame: Equatable, Sendable {
    static let fixedSize = 40
    /// Set in extension tags that a receiver without knowledge of them skips.
    static let ignorableTag: UInt16 = 0x8000

    package var majorVersion = WireProtocol.majorVersion
    package var minorVersion = WireProtocol.minorVersion
    package var maxFrameSize: UInt32
    /// 0 from a client.
    package var maxConcurrentCalls: UInt32
    package var connectionCredit: UInt32
    package var callCredit: UInt32
    package var maxMetadataSize: UInt32
    package var maxMessageSize: UInt32
    package var minPingIntervalMillis: UInt32
    package var fingerprints: [ServiceFingerprint]

    package init(limits: WireLimits, acceptsCalls: Bool, fingerprints: [ServiceFingerprint]) {
        maxFrameSize = limits.maxFrameSize
        maxConcurrentCalls = acceptsCalls ? limits.maxConcurrentCalls : 0
        connectionCredit = limits.connectionCredit
        callCredit = limits.callCredit
        maxMetadataSize = limits.maxMetadataSize
        maxMessageSize = limits.maxMessageSize
        minPingIntervalMillis = UInt32(clamping: limits.minPingInterval.milliseconds)
        self.fingerprints = fingerprints
    }

    /// Reads a payload. Versions are checked first, so that a newer major version gets that answer (W-12).
    init(from payload: inout ByteBuffer) throws(WireViolation) {
        guard let (magic, major, minor) = payload.readMultipleIntegers(as: (UInt32, UInt16, UInt16).self),
            magic == WireProtocol.magic
        else {
            throw .connection(.protocolError, 11, "HELLO does not begin with LKST")
        }
        guard major == WireProtocol.majorVersion else {
            throw .connection(.version, 12, "major version \(major), this side speaks \(WireProtocol.majorVersion)")
        }
        guard let sizes = payload.readMultipleIntegers(as: (UInt32, UInt32, UInt32, UInt32, UInt32).self),
            let rest = payload.readMultipleIntegers(as: (UInt32, UInt32, UInt16, UInt16).self)
        else {
            throw .connection(.protocolError, 3, "HELLO is shorter than its fixed part")
        }
        (majorVersion, minorVersion) = (major, minor)
        (maxFrameSize, maxConcurrentCalls, connectionCredit, callCredit, maxMetadataSize) = sizes
        (maxMessageSize, minPingIntervalMillis) = (rest.0, rest.1)
        fingerprints = try Self.readFingerprints(Int(rest.2), from: &payload)
        try Self.skipExtensions(Int(rest.3), in: &payload)
        try checkBounds()
    }

    private static func readFingerprints(
        _ count: Int, from payload: inout ByteBuffer
    ) throws(WireViolation) -> [ServiceFingerprint] {
        guard count <= WireLimits.maxFingerprints else {
            throw .connection(.protocolError, 15, "\(count) fingerprints, the limit is \(WireLimits.maxFingerprints)")
        }
        var result: [ServiceFingerprint] = []
        for _ in 0..<count {
            guard let name = payload.readLengthPrefixedSlice(as: UInt8.self),
                let value = payload.readInteger(as: UInt64.self)
            else { throw .connection(.protocolError, 3, "HELLO ends within its fingerprints") }
            guard isServiceName(name.readableBytesView) else {
                throw .connection(.protocolError, 15, "a service name is malformed")
            }
            result.append(ServiceFingerprint(service: String(buffer: name), fingerprint: value))
        }
        return result
    }

    static func isServiceName(_ name: some Collection<UInt8>) -> Bool {
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        return (1...WireLimits.maxServiceNameSize).contains(name.count)
            && name.allSatisfy { byte in
                letters.contains(byte) || capitals.contains(byte) || digits.contains(byte)
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            }
    }

    private static func skipExtensions(_ count: Int, in payload: inout ByteBuffer) throws(WireViolation) {
        for _ in 0..<count {
            guard let tag = payload.readInteger(as: UInt16.self),
                payload.readLengthPrefixedSlice(as: UInt16.self) != nil
            else { throw .connection(.protocolError, 3, "HELLO ends within its extensions") }
            guard tag & ignorableTag != 0 else {
                throw .connection(.protocolError, 16, "extension \(tag) is unknown and not ignorable")
            }
        }
        guard payload.readableBytes == 0 else {
            throw .connection(.protocolError, 3, "\(payload.readableBytes) bytes after the end of HELLO")
        }
    }

    private func checkBounds() throws(WireViolation) {
        try check("max_frame_size", maxFrameSize, in: WireLimits.frameSizeBounds)
        try check("connection_credit", connectionCredit, in: WireLimits.creditBounds)
        try check("call_credit", callCredit, in: WireLimits.creditBounds.lowerBound...connectionCredit)
        try check("max_metadata_size", maxMetadataSize, in: WireLimits.metadataSizeBounds)
        try check("max_message_size", maxMessageSize, in: WireLimits.messageSizeBounds)
        try check("min_ping_interval", minPingIntervalMillis, in: WireLimits.pingIntervalMillisBounds)
    }

    private func check(_ name: String, _ value: UInt32, in bounds: ClosedRange<UInt32>) throws(WireViolation) {
        guard bounds.contains(value) else {
            throw .connection(
                .protocolError, 14, "\(name) is \(value), not in \(bounds.lowerBound)...\(bounds.upperBound)")
        }
    }

    func write(to payload: inout ByteBuffer) {
        payload.writeMultipleIntegers(WireProtocol.magic, majorVersion, minorVersion)
        payload.writeMultipleIntegers(maxFrameSize, maxConcurrentCalls, connectionCredit, callCredit, maxMetadataSize)
        payload.writeMultipleIntegers(
            maxMessageSize, minPingIntervalMillis, UInt16(clamping: fingerprints.count), UInt16(0))
        for entry in fingerprints {
            payload.writeInteger(UInt8(clamping: entry.service.utf8.count))
            payload.writeString(entry.service)
            payload.writeInteger(entry.fingerprint)
        }
    }

    /// How long to leave between two PINGs to this peer.
    var minPingInterval: WireDuration { .milliseconds(UInt64(minPingIntervalMillis)) }
}

extension HelloFrame {
    /// W-14 for what differs between the roles: a server accepts calls, a client none.
    func check(from role: WireRole) throws(WireViolation) {
        switch role {
        case .server: try check("max_concurrent_calls", maxConcurrentCalls, in: WireLimits.concurrentCallsBounds)
        case .client: try check("max_concurrent_calls of a client", maxConcurrentCalls, in: 0...0)
        }
    }
}

/// Which end of the connection speaks.
package enum WireRole: Sendable {
    case client
    case server
}
