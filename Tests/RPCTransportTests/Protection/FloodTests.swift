import NIOCore
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing
import WireCore

/// Frames that cost their sender nothing, over a real connection: counted, ended by their rule, and a neighbour goes on.
@Suite(.timeLimit(.minutes(1)))
struct TransportFloodTests {
    struct Flood: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let rule: UInt16
        let write: @Sendable (_ number: UInt32, _ output: inout ByteBuffer) -> Void
    }

    private static let method = AsyncMethod.echoDescriptor.id
    static let floods = [
        Flood(testDescription: "PING", rule: 121) { $1.writePing(UInt64($0)) },
        Flood(testDescription: "CANCEL", rule: 122) { $1.writeCancel(CallID(rawValue: 1)) },
        Flood(testDescription: "small CREDIT", rule: 123) { $1.writeCredit(nil, 1) },
        Flood(testDescription: "frames of ended calls", rule: 125) { $1.writeEnd(CallID(rawValue: 1)) },
        Flood(testDescription: "frames of unknown type", rule: 126) { number, output in
            output.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), number)
        },
        Flood(testDescription: "provoked errors", rule: 127) { $1.writeUnary($0 + 2, method, lane: 9) },
    ]

    @Test(arguments: floods)
    func endsByItsRule(_ flood: Flood) async throws {
        var options = ServerOptions()
        options.limits.floods = FloodLimits()
        options.limits.floods.cancels = 50
        options.limits.floods.lateFrames = 50
        options.limits.floods.smallCredits = 50
        options.limits.floods.unknownFrames = 50
        options.limits.floods.provokedErrors = 50
        try await withServer([.echo], options: options) { _, address in
            try await withClient(address) { neighbour in
                let hostile = try await FramePeer(address)
                hostile.send { output in
                    // Refused at once, so that what follows for it is late.
                    output.writeUnary(1, Self.method, lane: 9)
                    for number in 0..<60 as Range<UInt32> { flood.write(number, &output) }
                }
                #expect(try await hostile.rule == flood.rule)
                let answer = try await neighbour.call(AsyncMethod.echoDescriptor, [7])
                #expect(answer == [7])
            }
        }
    }

    /// Counts handlers that run.
    private final class Gauge: Sendable {
        let running = Atomic(0)
        let most = Atomic(0)

        func enter() { most.max(running.add(1, ordering: .relaxed).newValue, ordering: .relaxed) }
        func leave() { running.subtract(1, ordering: .relaxed) }
        var highest: Int { most.load(ordering: .relaxed) }
    }

    /// Rapid reset: CALL and CANCEL in turns. A cancelled call keeps its slot, so no more handlers run than there are.
    @Test func cancellingFreesNoSlot() async throws {
        let (gauge, release) = (Gauge(), Latch())
        let slow = AsyncMethod(bytes: .test("Slow", onCancel: .detach)) { _, _ in
            gauge.enter()
            await release.wait()
            gauge.leave()
            return []
        }
        var options = ServerOptions()
        options.limits.maxConcurrentCalls = 8
        options.limits.floods.provokedErrors = 100
        try await withServer([slow], options: options) { _, address in
            let hostile = try await FramePeer(address)
            hostile.send { for id in 1...8 as ClosedRange<UInt32> { $0.writeUnary(id, slow.descriptor.id) } }
            try await until { gauge.highest == 8 }
            hostile.send { output in
                for id in 1...8 as ClosedRange<UInt32> { output.writeCancel(CallID(rawValue: id)) }
                for id in 9...500 as ClosedRange<UInt32> {
                    output.writeUnary(id, slow.descriptor.id)
                    output.writeCancel(CallID(rawValue: id))
                }
            }
            #expect(try await hostile.rule == 127)
            release.open()
        }
        #expect(gauge.highest == 8)
    }
}
