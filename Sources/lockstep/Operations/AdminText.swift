import Contracts
import Foundation
import SwiftProtobuf

/// What `admin` prints.
enum AdminText {
    static func process(_ answer: RuntimeGetProcessResponse, at target: String) -> [String] {
        let limits = answer.limits
        var rows = [
            ["age", seconds(answer.age) + (answer.draining ? ", draining" : "")],
            ["connections", "\(answer.connections) of \(limits.maxConnections)"],
            ["calls", "\(answer.calls) of \(limits.maxCalls)"],
        ]
        if answer.hasPool {
            let pool = answer.pool
            rows.append(["pool", "\(pool.running) of \(pool.workers) workers busy"])
            rows.append([
                "queue", "\(pool.waitingRoutine) routine and \(pool.waitingEmergency) emergency of \(pool.capacity)",
            ])
        }
        rows.append([
            "limits",
            "frame \(limits.maxFrameSize), message \(limits.maxMessageSize), \(limits.maxCallsPerConnection) calls a "
                + "connection, credit \(limits.callCredit) and \(limits.connectionCredit), drain \(seconds(limits.drainGrace))",
        ])
        var lines = ["\(target), process \(answer.pid)"] + Table.lines(rows, indent: 2)
        lines += Table.lines(answer.eventLoops.map(row), indent: 2)
        lines += Table.lines(answer.methods.map(row), indent: 2)
        return lines
    }

    static func connections(_ answer: RuntimeListConnectionsResponse, at target: String) -> [String] {
        let rows = answer.connections.map {
            [
                $0.peer.isEmpty ? "(handshake)" : $0.peer, $0.address, "age \(seconds($0.age))",
                "silent \(seconds($0.silentFor))", "\($0.calls) of \($0.totalCalls) calls open", "loop \($0.eventLoop)",
            ]
        }
        return ["\(target), \(answer.total) connections"] + Table.lines(rows, indent: 2) + silence(answer.silentEventLoops)
    }

    static func calls(_ answer: RuntimeListCallsResponse, at target: String) -> [String] {
        let rows = answer.calls.map {
            [
                $0.method, $0.peer, $0.state, "age \(seconds($0.age))", "left \(seconds($0.remaining))", $0.lane,
                $0.requestID,
            ]
        }
        return ["\(target), \(answer.total) calls"] + Table.lines(rows, indent: 2) + silence(answer.silentEventLoops)
    }

    private static func row(_ loop: RuntimeEventLoopState) -> [String] {
        let delay = loop.answers ? "delay \(seconds(loop.delay))" : "does not answer since \(seconds(loop.delay))"
        return ["event loop \(loop.number)", "\(loop.connections) connections", "\(loop.calls) calls", delay]
    }

    private static func row(_ load: RuntimeMethodLoad) -> [String] {
        [load.method, load.concurrency == 0 ? "\(load.running)" : "\(load.running) of \(load.concurrency)"]
    }

    private static func silence(_ loops: UInt32) -> [String] {
        loops == 0 ? [] : ["  \(loops) event loops do not answer; what is theirs is not listed"]
    }

    static func seconds(_ duration: Google_Protobuf_Duration) -> String {
        let value = Double(duration.seconds) + Double(duration.nanos) / 1e9
        return abs(value) < 1 ? String(format: "%.1f ms", value * 1000) : String(format: "%.1f s", value)
    }
}
