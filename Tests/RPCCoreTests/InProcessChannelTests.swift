import RPCCore
import RPCInProcess
import Synchronization
import Testing

private struct Service: AsyncServiceHandler {
    static let contract = ServiceDescriptor(
        name: "test.v1.TestService", execution: .async, hostedByBoth: false, methods: [], fingerprint: 1)
    let asyncMethods: [AsyncMethod]
}

private func method(
    _ id: UInt32, exposure: Exposure = .internal, maximum: Duration = .seconds(60), onCancel: OnCancel = .cancel,
    _ body: @escaping @Sendable ([UInt8], CallContext) async throws -> [UInt8]
) -> AsyncMethod {
    let message = MessageDescriptor(name: "test.v1.Message", fields: [])
    let descriptor = MethodDescriptor(
        id: id, service: "test.v1.TestService", name: "Method\(id)", execution: .async, cost: nil,
        callers: ["gateway"], exposure: exposure, maximumLane: .routine,
        deadline: DeadlineRule(default: .seconds(30), maximum: maximum), requestLimit: 100, responseLimit: 100,
        concurrency: nil, rate: nil, onCancel: onCancel, idempotency: .unknown, http: nil, request: message,
        response: message)
    return AsyncMethod(bytes: descriptor, body)
}

private func failure(_ channel: InProcessChannel, _ method: AsyncMethod, _ options: CallOptions = CallOptions()) async
    -> RPCError?
{
    do {
        _ = try await channel.call(method.descriptor, request: [], options: options)
        return nil
    } catch {
        return error
    }
}

@Suite(.timeLimit(.minutes(1)))
struct InProcessChannelTests {
    private let echo = method(1) { request, _ in request }

    private func channel(
        _ methods: AsyncMethod..., peer: String = "gateway", user: UserIdentity? = nil
    ) throws -> InProcessChannel {
        try InProcessChannel(async: [Service(asyncMethods: methods)], peer: peer, user: user)
    }

    @Test("A call is answered")
    func answers() async throws {
        let answer = try await channel(echo).call(echo.descriptor, request: [1, 2], options: CallOptions())
        #expect(answer == [1, 2])
    }

    @Test("Callers that the contract does not name, and unknown methods, are refused alike")
    func callers() async throws {
        #expect(try await failure(channel(echo, peer: "email"), echo)?.code == .permissionDenied)
        #expect(try await failure(channel(), echo)?.code == .permissionDenied)
    }

    @Test("A method for users gets the channel's user")
    func user() async throws {
        let user = UserIdentity(subject: "usr_1", sessionID: "ses_1", roles: [], lane: .routine)
        let me = method(2, exposure: .user) { _, context in Array(try context.requireUser().subject.utf8) }
        let answer = try await channel(me, user: user).call(me.descriptor, request: [], options: CallOptions())
        #expect(answer == Array("usr_1".utf8))
        #expect(try await failure(channel(me), me)?.code == .unauthenticated)
    }

    @Test("The deadline ends the call and cancels the handler")
    func deadline() async throws {
        let cancelled = AsyncStream<Void>.makeStream()
        let slow = method(3) { request, _ in
            defer { cancelled.continuation.finish() }
            // A handler that ends by being cancelled and in no other way.
            try await Task.sleep(for: .seconds(600))
            return request
        }
        let error = try await failure(channel(slow), slow, CallOptions(timeout: .milliseconds(20)))
        #expect(error?.code == .deadlineExceeded)
        for await _ in cancelled.stream {}
    }

    @Test("Cancelling the caller cancels the handler")
    func cancel() async throws {
        let (started, ended) = (AsyncStream<Void>.makeStream(), AsyncStream<Void>.makeStream())
        let slow = method(4) { request, _ in
            started.continuation.finish()
            defer { ended.continuation.finish() }
            // A handler that ends by being cancelled and in no other way.
            try await Task.sleep(for: .seconds(600))
            return request
        }
        let channel = try channel(slow)
        let call = Task { await failure(channel, slow) }
        for await _ in started.stream {}
        call.cancel()
        #expect(await call.value?.code == .cancelled)
        for await _ in ended.stream {}
    }

    @Test("What a handler throws without a status does not leave it")
    func leak() async throws {
        struct Secret: Error { let text = "hunter2" }
        let leaky = method(5) { _, _ in throw Secret() }
        let error = try await failure(channel(leaky), leaky)
        #expect(error?.code == .internal)
        #expect("\(String(describing: error))".contains("hunter2") == false)
    }

    @Test("A request over the contract's limit does not reach the handler")
    func size() async throws {
        let channel = try channel(echo)
        await #expect(throws: RPCError.self) {
            try await channel.call(echo.descriptor, request: [UInt8](repeating: 0, count: 101), options: CallOptions())
        }
    }

    @Test("Two methods with one id cannot be hosted, nor a peer without a name")
    func hosting() {
        #expect(throws: HostingError.self) { try channel(echo, echo) }
        #expect(throws: HostingError.self) { try channel(echo, peer: "no name") }
    }
}
