import CXCrypt
import Glibc
import RPCCore

/// What the overload benchmark calls: methods that cost a given time, of each kind that the contract knows.
enum OverloadMethod: String, CaseIterable {
    /// SYNC, on the event loop.
    case inline
    /// SYNC, on the CPU pool.
    case pool
    /// ASYNC, waits for something else, a fixed number at once.
    case async
    /// ASYNC, for something else that only a few can have at once, which nobody has told the server: adaptive.
    case adaptive
    /// ASYNC, answers at once, unless the request asks it to wait first.
    case mixed

    /// The name in the certificate of its server.
    var service: String {
        switch self {
        case .inline, .pool: "encryption"
        case .async, .adaptive, .mixed: "auth"
        }
    }

    var descriptor: MethodDescriptor {
        MethodDescriptor(
            id: UInt32(1 + (Self.allCases.firstIndex(of: self) ?? 0)), service: "lockstep.overload.v1.OverloadService",
            name: rawValue, execution: service == "auth" ? .async : .sync, cost: cost, callers: ["gateway"],
            exposure: .internal, maximumLane: .emergency,
            deadline: DeadlineRule(default: .seconds(5), maximum: .seconds(30)), requestLimit: 64, responseLimit: 64,
            concurrency: self == .async ? Self.atOnce : nil, isAdaptive: self == .adaptive, rate: nil,
            onCancel: .cancel, idempotency: .noSideEffects, http: nil,
            request: MessageDescriptor(name: "lockstep.overload.v1.Request", fields: []),
            response: MessageDescriptor(name: "lockstep.overload.v1.Response", fields: []))
    }

    private var cost: Cost? {
        switch self {
        case .inline: .inline(limit: 64)
        case .pool: .pool
        case .async, .adaptive, .mixed: nil
        }
    }

    static let request: [UInt8] = [1]
    /// Asks `mixed` to wait.
    static let slowRequest: [UInt8] = [2]
    /// Calls of the ASYNC method that run at once.
    static let atOnce = 20
    /// Calls that what the adaptive method waits for serves at once.
    static let served = 8
}

/// CPU work of a known length, whatever else the machine does meanwhile: counted in steps, not by a clock.
struct CPUWork: Sendable {
    private let stepsPerMicrosecond: Double

    /// Measures how quick the machine is, with nothing else under way.
    init() {
        let steps = 20_000_000
        let start = ContinuousClock.now
        _ = Self.spin(steps)
        let (seconds, attoseconds) = start.duration(to: .now).components
        stepsPerMicrosecond = Double(steps) / (Double(seconds) * 1e6 + Double(attoseconds) / 1e12)
    }

    func run(microseconds: Int) -> UInt8 { Self.spin(Int(Double(microseconds) * stepsPerMicrosecond)) }

    @inline(never) private static func spin(_ steps: Int) -> UInt8 {
        var state: UInt64 = 88_172_645_463_325_252
        for _ in 0..<steps {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
        }
        return UInt8(truncatingIfNeeded: state)
    }
}

extension CPUWork {
    /// One password hash.
    static func bcrypt(_ rounds: Int) -> [UInt8] {
        let setting = "$2b$" + (rounds < 10 ? "0" : "") + "\(rounds)$abcdefghijklmnopqrstuu"
        return withUnsafeTemporaryAllocation(
            byteCount: MemoryLayout<crypt_data>.size, alignment: MemoryLayout<crypt_data>.alignment
        ) { memory in
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            let hash = crypt_rn("correct horse battery staple", setting, memory.baseAddress, Int32(memory.count))
            return [hash == nil ? 0 : 1]
        }
    }
}
