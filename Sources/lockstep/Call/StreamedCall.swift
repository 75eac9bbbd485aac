import Foundation
import RPCCore
import Synchronization

/// A call that streams: requests are lines of JSON, and so are responses.
struct StreamedCall: Sendable {
    let coding: MethodCoding
    let channel: any RPCChannel
    let options: CallOptions
    let requests: RequestLines
    /// Takes each response as it comes.
    let show: @Sendable ([UInt8]) -> Void

    private var kind: CallKind { coding.descriptor.kind }

    /// Returns when the call has ended well.
    ///
    /// - Throws: `RPCError`; `CommandFailure` for requests that cannot be read.
    func run() async throws {
        let stream = try channel.open(coding.descriptor, request: try await first(), options: options)
        defer { stream.cancel() }
        let trouble = Trouble()
        // Not awaited: it may wait for a line that nobody writes any more when the call has ended.
        let writer = Task { await write(stream, trouble) }
        defer { writer.cancel() }
        do {
            if kind.serverStreams {
                while let response = try await stream.responses.next() { show(try coding.json(fromResponse: response)) }
                _ = try await stream.answer()
            } else {
                show(try coding.json(fromResponse: try await stream.answer()))
            }
        } catch {
            throw trouble.error ?? error
        }
    }

    /// The one request where the client does not stream.
    private func first() async throws -> [UInt8] {
        guard !kind.clientStreams else { return [] }
        var json: [UInt8] = []
        while let line = try await requests.next() { json += line + [UInt8(ascii: "\n")] }
        return try encoded(json)
    }

    private func write(_ stream: any RPCStream, _ trouble: Trouble) async {
        guard kind.clientStreams else { return }
        do {
            while let line = try await requests.next() { try await stream.requests.write(try encoded(line)) }
            stream.finishRequests()
        } catch let error as RPCError where error.reason == RPCError.streamEnded.reason {
            // The answer says why.
        } catch {
            trouble.keep(error)
            stream.cancel()
        }
    }

    /// A request; when it is wrong, it has not been sent.
    private func encoded(_ json: [UInt8]) throws(RPCError) -> [UInt8] {
        do {
            return try coding.requestBytes(fromJSON: json)
        } catch {
            var unsent = error
            unsent.processed = kind.clientStreams ? .maybe : .no
            throw unsent
        }
    }
}

/// Why the writer gave up, for the reader to tell.
private final class Trouble: Sendable {
    private let stored = Mutex<(any Error)?>(nil)

    var error: (any Error)? { stored.withLock { $0 } }

    func keep(_ error: any Error) { stored.withLock { $0 = error } }
}
