import Foundation
import NIOCore

@testable import WireCore

/// Frames in the words of the vectors.
enum VectorFields {
    static func hex(_ message: MessageBody) -> String { hex(ByteBuffer(bytes: message.array)) }

    static func hex(_ bytes: ByteBuffer) -> String {
        bytes.readableBytesView.map { String(format: "%02x", $0) }.joined()
    }

    static func hex(_ frames: some Sequence<Frame>) -> String {
        frames.compactMap(encode).map(hex).joined()
    }

    static func of(_ frame: Frame) -> [String: Any] {
        switch frame {
        case .hello(let hello): of(hello)
        case .call(let id, let call): of(id, call)
        case .message(let id, let message): of(id, message)
        case .end(let id): ["type": "END", "call": id.rawValue]
        case .status(let id, let status): of(id, status)
        case .cancel(let id): ["type": "CANCEL", "call": id.rawValue]
        case .credit(let id, let bytes): ["type": "CREDIT", "call": id?.rawValue ?? 0, "bytes": bytes]
        case .ping(let value): ["type": "PING", "value": String(format: "%016lx", value)]
        case .pong(let value): ["type": "PONG", "value": String(format: "%016lx", value)]
        case .drain(let drain):
            ["type": "DRAIN", "last_call": drain.lastCall, "grace": drain.graceMillis, "reason": drain.reason]
        case .drainAck(let last): ["type": "DRAIN_ACK", "last_call": last]
        case .goodbye(let bye):
            [
                "type": "GOODBYE", "code": bye.code.rawValue, "rule": bye.rule, "last_call": bye.lastCall,
                "reason": bye.reason,
            ]
        case .skipped(let type): ["type": "SKIPPED", "number": type]
        }
    }

    private static func of(_ hello: HelloFrame) -> [String: Any] {
        [
            "type": "HELLO", "major": hello.majorVersion, "minor": hello.minorVersion,
            "max_frame_size": hello.maxFrameSize, "max_concurrent_calls": hello.maxConcurrentCalls,
            "connection_credit": hello.connectionCredit, "call_credit": hello.callCredit,
            "max_metadata_size": hello.maxMetadataSize, "max_message_size": hello.maxMessageSize,
            "min_ping_interval": hello.minPingIntervalMillis,
            "fingerprints": hello.fingerprints.map { [$0.service, String(format: "%016lx", $0.fingerprint)] },
        ]
    }

    private static func of(_ id: CallID, _ call: CallFrame) -> [String: Any] {
        var fields: [String: Any] = [
            "type": "CALL", "call": id.rawValue, "method": call.method, "remaining": String(call.remainingMicros),
            "kind": call.kind, "lane": call.lane, "metadata": hex(call.metadata), "end": call.endsRequest,
        ]
        if let message = call.message {
            fields["length"] = message.length
            fields["fragment"] = hex(message.fragment)
        }
        return fields
    }

    private static func of(_ id: CallID, _ message: MessageFrame) -> [String: Any] {
        var fields: [String: Any] = ["type": "MSG", "call": id.rawValue, "end": message.endsRequest]
        switch message.content {
        case .start(let start):
            fields["length"] = start.length
            fields["fragment"] = hex(start.fragment)
        case .next(let fragment): fields["fragment"] = hex(fragment)
        }
        return fields
    }

    private static func of(_ id: CallID, _ status: StatusFrame) -> [String: Any] {
        var fields: [String: Any] = [
            "type": "STATUS", "call": id.rawValue, "code": status.code, "processed": status.processed.rawValue,
            "queued": status.queuedMicros, "ran": status.ranMicros, "retry_after": status.retryAfterMillis,
            "text": String(buffer: status.text), "metadata": hex(status.metadata), "details": hex(status.details),
        ]
        if let message = status.message { fields["message"] = hex(message) }
        return fields
    }

    /// The frame's bytes again; nil for types that this side never sends.
    static func encode(_ frame: Frame) -> ByteBuffer? {
        if case .skipped = frame { return nil }
        return frames { output in
            switch frame {
            case .hello(let hello): output.writeHello(hello)
            case .call(let id, let call): output.writeCall(id, call)
            case .message(let id, let message): output.writeMessage(id, message)
            case .end(let id): output.writeEnd(id)
            case .status(let id, let status): write(id, status, to: &output)
            case .cancel(let id): output.writeCancel(id)
            case .credit(let id, let bytes): output.writeCredit(id, bytes)
            case .ping(let value): output.writePing(value)
            case .pong(let value): output.writePong(value)
            case .drain(let drain): output.writeDrain(drain)
            case .drainAck(let last): output.writeDrainAck(last)
            case .goodbye(let goodbye): output.writeGoodbye(goodbye)
            case .skipped: break
            }
        }
    }

    private static func write(_ id: CallID, _ frame: StatusFrame, to output: inout ByteBuffer) {
        var status = WireStatus(
            code: frame.code, message: String(buffer: frame.text), details: frame.details, processed: frame.processed,
            queuedMicros: frame.queuedMicros, ranMicros: frame.ranMicros, retryAfterMillis: frame.retryAfterMillis)
        status.metadata = (try? WireMetadata(validating: frame.metadata, maxSize: 8192)) ?? WireMetadata()
        output.writeStatus(id, status, body: frame.message.map { .buffer($0) })
    }
}
