import RPCTransport
import WireCore

/// Our own implementation with one fault: what the cases must find. Most are in what it says or hears, planted between it
/// and the wire; those of its state are in how this peer uses it. No product code knows of them.
package enum Mutant: String, Sendable, Hashable, CaseIterable {
    /// The filter without a fault: every case must pass through it as it does without.
    case none

    case serverSecondStatus = "server-second-status"
    case serverSaysUnprocessed = "server-says-unprocessed"
    case serverLosesCodes = "server-loses-codes"
    case serverDropsPong = "server-drops-pong"
    case serverPongsZero = "server-pongs-zero"
    case serverIgnoresCancel = "server-ignores-cancel"
    case serverWithholdsCredit = "server-withholds-credit"
    case serverOverspends = "server-overspends"
    case serverTakesOldIDs = "server-takes-old-ids"
    case serverTakesReservedBits = "server-takes-reserved-bits"
    case serverTakesSecondHello = "server-takes-second-hello"
    case serverTakesAnyVersion = "server-takes-any-version"
    case serverTakesSecondEnd = "server-takes-second-end"
    case serverTakesUnknownFrames = "server-takes-unknown-frames"
    case serverForgetsMetadata = "server-forgets-metadata"
    case serverSwapsMessages = "server-swaps-messages"
    case serverForgetsDeadlines = "server-forgets-deadlines"
    case serverDrainsSilently = "server-drains-silently"

    case clientDropsCancel = "client-drops-cancel"
    case clientRepeatsIDs = "client-repeats-ids"
    case clientForgetsDrainAck = "client-forgets-drain-ack"
    case clientTakesSecondStatus = "client-takes-second-status"
    case clientTakesSecondMessage = "client-takes-second-message"
    case clientForgetsDeadlines = "client-forgets-deadlines"
    case clientForgetsEnd = "client-forgets-end"
    case clientAlwaysEmergency = "client-always-emergency"
    case clientWithholdsCredit = "client-withholds-credit"
    case clientTakesAnyPong = "client-takes-any-pong"
    case clientMakesUpMessages = "client-makes-up-messages"

    case serverFreesSlots = "server-frees-slots"
    case serverTakesAnyPings = "server-takes-any-pings"
    case serverWaitsForHello = "server-waits-for-hello"
    case serverKeepsDeadPeers = "server-keeps-dead-peers"
    case serverGrowsOld = "server-grows-old"
    case clientRepeatsLostCalls = "client-repeats-lost-calls"

    /// The fault is in the implementation's state, and nothing stands between it and the wire.
    var isOfState: Bool {
        switch self {
        case .serverFreesSlots, .serverTakesAnyPings, .serverWaitsForHello, .serverKeepsDeadPeers, .serverGrowsOld,
            .clientRepeatsLostCalls:
            true
        default: false
        }
    }

    /// In which role the fault shows; nil for both.
    package var role: ContractRole? {
        if rawValue.hasPrefix("server") { return .server }
        return rawValue.hasPrefix("client") ? .client : nil
    }
}

extension Mutant {
    /// Longer than any case waits.
    private static let never = Duration.seconds(3600)

    /// The faults of limits and timers: announced as they should be, and not kept.
    func plant(in options: inout ServerOptions) {
        switch self {
        case .serverTakesAnyPings: options.limits.floods.pings = .max
        case .serverWaitsForHello:
            options.handshakeTimeout = Self.never
            options.limits.handshakeTimeout = WireDuration(Self.never)
        case .serverKeepsDeadPeers: options.limits.keepaliveInterval = WireDuration(Self.never)
        case .serverGrowsOld: options.limits.maxAge = nil
        default: break
        }
    }
}

/// The fault of a mutant on one connection.
struct MutantFilter: Sendable {
    /// Seen from the implementation.
    enum Direction: Sendable {
        case inbound
        case outbound
    }

    private let mutant: Mutant
    private var hellos = 0
    private var highestCall: UInt32 = 0
    private var ended: Set<UInt32> = []
    private var finished: Set<UInt32> = []
    private var messages: Set<UInt32> = []
    private var held: RawFrame?

    init(_ mutant: Mutant) { self.mutant = mutant }

    /// What goes on instead of the frame.
    mutating func pass(_ frame: RawFrame, _ direction: Direction) -> [RawFrame] {
        switch direction {
        case .outbound: outbound(frame)
        case .inbound: inbound(frame)
        }
    }

    // MARK: What the implementation says

    private mutating func outbound(_ frame: RawFrame) -> [RawFrame] {
        switch (mutant, frame.kind) {
        case (.serverSecondStatus, .status): return [frame, frame]
        case (.serverSaysUnprocessed, .status): return [frame.replacing(1, at: 4, with: 0, where: { $0 == 2 })]
        case (.serverLosesCodes, .status): return [frame.replacing(4, at: 0, with: 2, where: { $0 > 2 })]
        case (.serverDropsPong, .pong), (.serverWithholdsCredit, .credit), (.serverDrainsSilently, .drain),
            (.clientDropsCancel, .cancel), (.clientForgetsDrainAck, .drainAck), (.clientWithholdsCredit, .credit):
            return []
        case (.serverPongsZero, .pong): return [frame.replacing(8, at: 0, with: 0)]
        case (.serverSwapsMessages, .message): return swapped(frame)
        case (.serverSwapsMessages, .status): return [held, frame].compactMap { $0 }
        case (.clientRepeatsIDs, .call):
            var frame = frame
            frame.call = 1
            return [frame]
        case (.clientForgetsDeadlines, .call): return [frame.replacing(8, at: 4, with: .max)]
        case (.clientForgetsEnd, .call):
            var frame = frame
            frame.flags &= ~RawFrame.endFlag
            return [frame]
        case (.clientAlwaysEmergency, .call): return [frame.replacing(1, at: 13, with: 1)]
        default: return [frame]
        }
    }

    /// Every second whole message goes before the one that came before it.
    private mutating func swapped(_ frame: RawFrame) -> [RawFrame] {
        guard let before = held else {
            held = frame
            return []
        }
        held = nil
        return [frame, before]
    }

    // MARK: What it hears

    private mutating func inbound(_ frame: RawFrame) -> [RawFrame] {
        switch (mutant, frame.kind) {
        case (.serverIgnoresCancel, .cancel): return []
        case (.serverOverspends, .hello):
            return [frame.replacing(4, at: 16, with: 1 << 30).replacing(4, at: 20, with: 1 << 30)]
        case (.serverTakesOldIDs, .call):
            defer { highestCall = max(highestCall, frame.call) }
            return frame.call > highestCall ? [frame] : []
        case (.serverTakesReservedBits, _): return [frame.withoutReservedBits]
        case (.serverTakesSecondHello, .hello):
            hellos += 1
            return hellos == 1 ? [frame] : []
        case (.serverTakesAnyVersion, .hello): return [frame.replacing(2, at: 4, with: 1)]
        case (.serverTakesSecondEnd, .call), (.serverTakesSecondEnd, .message), (.serverTakesSecondEnd, .end):
            guard !ended.contains(frame.call) else { return [] }
            if frame.endsRequest || frame.kind == .end { ended.insert(frame.call) }
            return [frame]
        case (.serverTakesUnknownFrames, nil): return []
        case (.serverForgetsMetadata, .call): return [frame.withoutMetadata]
        case (.serverForgetsDeadlines, .call): return [frame.replacing(8, at: 4, with: .max)]
        case (.clientTakesSecondStatus, .status): return finished.insert(frame.call).inserted ? [frame] : []
        case (.clientTakesSecondMessage, .message):
            guard frame.hasMessage else { return [frame] }
            return messages.insert(frame.call).inserted ? [frame] : []
        case (.clientTakesAnyPong, .pong): return []
        case (.clientMakesUpMessages, .status): return [frame.withMessage]
        default: return [frame]
        }
    }
}

extension RawFrame {
    /// With an integer of `size` bytes changed where the condition holds of the old one.
    fileprivate func replacing(
        _ size: Int, at offset: Int, with value: UInt64, where isWanted: (UInt64) -> Bool = { _ in true }
    ) -> RawFrame {
        guard payload.count >= offset + size else { return self }
        let old = payload[offset..<offset + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard isWanted(old) else { return self }
        var frame = self
        for index in 0..<size {
            frame.payload[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (size - 1 - index)))
        }
        return frame
    }

    fileprivate var withoutReservedBits: RawFrame {
        var frame = self
        frame.reserved = 0
        frame.flags &= RawFrame.messageFlag | RawFrame.endFlag
        return frame
    }

    fileprivate var withoutMetadata: RawFrame {
        guard payload.count >= 20 else { return self }
        var frame = replacing(2, at: 14, with: 0)
        let size = Int(payload[14]) << 8 | Int(payload[15])
        frame.payload.removeSubrange(20..<min(20 + size, payload.count))
        return frame
    }

    /// OK with an empty message where it has none.
    fileprivate var withMessage: RawFrame {
        guard !hasMessage, payload.prefix(4) == [0, 0, 0, 0] else { return self }
        var frame = self
        frame.flags |= RawFrame.messageFlag
        return frame
    }
}
