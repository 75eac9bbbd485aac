import RPCClient
import RPCCore
import RPCTransport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct DeadlineTests {
    @Test("The caller is answered at its deadline though the handler goes on")
    func clientEnforces() async throws {
        let release = Latch()
        let method = AsyncMethod(bytes: .test("Stubborn", onCancel: .detach)) { request, _ in
            await release.wait()
            return request
        }
        try await withServer([method, .echo]) { _, address in
            try await withClient(address) { client in
                // The connection stands before the clock runs: what is timed is the call.
                _ = try await client.call(AsyncMethod.echoDescriptor)
                let error = try await client.failure(method.descriptor, timeout: .seconds(1))
                #expect(error.code == .deadlineExceeded)
                #expect(error.processed == .maybe)
                #expect(error.message.contains("auth at 127.0.0.1"))
                release.open()
            }
        }
    }

    @Test("The server cancels the handler at the contract's deadline, though the caller would wait longer")
    func serverEnforces() async throws {
        let cancelled = Latch()
        let method = AsyncMethod(bytes: .test("Late", maximum: .milliseconds(100))) { request, _ in
            try await untilCancelled(cancelled)
            return request
        }
        try await withServer([method]) { _, address in
            try await withClient(address) { client in
                let error = try await client.failure(.test("Late"), timeout: .seconds(30))
                #expect(error.code == .deadlineExceeded)
                #expect(error.processed == .yes)
            }
        }
        #expect(cancelled.isOpen)
    }

    @Test("A deadline that came over the wire cancels the handler")
    func wireDeadline() async throws {
        let cancelled = Latch()
        let method = AsyncMethod(bytes: .test("Wire")) { request, _ in
            try await untilCancelled(cancelled)
            return request
        }
        try await withServer([method, .echo]) { _, address in
            try await withClient(address) { client in
                // The connection stands before the clock runs: what is timed is the call.
                _ = try await client.call(AsyncMethod.echoDescriptor)
                let error = try await client.failure(method.descriptor, timeout: .seconds(1))
                #expect(error.code == .deadlineExceeded)
            }
            await cancelled.wait()
        }
    }

    @Test("Each hop has less time than the one before")
    func hopsShrink() async throws {
        let remaining = Promised<(front: Duration, back: Duration)>()
        let back = AsyncMethod(bytes: .test("Back", callers: ["auth"])) { _, context in
            let time = context.deadline.remaining()
            return Array("\(time.components.seconds) \(time.components.attoseconds)".utf8)
        }
        try await withServer([back]) { _, backAddress in
            try await withClient(backAddress, as: "auth") { next in
                let front = AsyncMethod(bytes: .test("Front")) { _, context in
                    let own = context.deadline.remaining()
                    let answer = try await next.call(back.descriptor, request: [], options: context.outgoing())
                    let parts = String(decoding: answer, as: UTF8.self).split(separator: " ").compactMap { Int64($0) }
                    remaining.fulfill((own, Duration(secondsComponent: parts[0], attosecondsComponent: parts[1])))
                    return []
                }
                try await withServer([front]) { _, address in
                    try await withClient(address) { client in
                        _ = try await client.call(front.descriptor, timeout: .seconds(10))
                    }
                }
            }
        }
        let (front, backTime) = try await remaining.value
        #expect(front <= .seconds(10))
        #expect(backTime < front)
        #expect(backTime > .zero)
    }

    @Test("A deadline that has passed is not sent")
    func passed() async throws {
        let observer = RecordingObserver()
        try await withServer([.echo], observer: observer) { _, address in
            try await withClient(address) { client in
                let error = try await client.failure(AsyncMethod.echoDescriptor, timeout: .zero)
                #expect(error.code == .deadlineExceeded)
                #expect(error.processed == .no)
            }
        }
        #expect(observer.all.started.isEmpty)
    }
}
